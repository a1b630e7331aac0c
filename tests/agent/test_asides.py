"""Questions about the conversation: how something is done, what was done, and why it asks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from conversing import Conversing, calls, result
from dialogue_stage import PERSONAS

from agent.answering.replies import Replies
from agent.events import ApprovalRequested, Text
from agent.understanding.dialogue import CallRecord, Dialogue
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from app.composition import Services, open_services
from bench.nlu_evaluation.cases import read_world
from soundstage.settings import Settings

NOW = datetime(2026, 11, 23, 10, 0)
LANGUAGES = ("en", "de")
QUOTED = re.compile("[“„]([^“”„]+)[”“]")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"personas_dir": PERSONAS})


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings) as created:
        yield created


@pytest.fixture
def talk(services: Services) -> Conversing:
    return Conversing(services)


@pytest.mark.parametrize(
    ("sentence", "intent"),
    [
        ("how do I publish something to youtube?", "publish_render.publish"),
        ("How do I make a video?", "make_render"),
        ("and how can I drain a machine?", "change_machine.drain"),
        ("wie mache ich ein Video?", "make_render"),
        ("wie kann ich ein Video löschen?", "cancel_render.delete"),
    ],
)
async def test_how_something_is_done_is_answered_by_its_own_sentence(
    talk: Conversing, sentence: str, intent: str
) -> None:
    language = "de" if sentence.startswith("wie") else "en"
    events = await talk.say(sentence)
    text = "\n".join(one.text for one in events if isinstance(one, Text))
    assert Replies.of(language).examples([intent])[0] in text
    assert (calls(events), len(text.splitlines()) <= 5) == ([], True)


@pytest.mark.parametrize(
    ("sentence", "topic"),
    [
        ("how do I change the voice?", "voice"),
        ("how do I change the speed?", "pace"),
        ("how do I make the captions bigger?", "caption_look"),
        ("how can I put a title in the picture?", "heading"),
        ("how do I transcribe a recording?", "transcribe"),
        ("how do I describe a picture?", "vision"),
        ("how do I schedule a video for tomorrow?", "plan"),
        ("how do I correct how a name is pronounced?", "pronounce"),
        ("how do I share a video?", "file"),
        ("how do I move a video up the queue?", "queue"),
        ("wie ändere ich die Stimme?", "voice"),
        ("wie lade ich das Video herunter?", "file"),
        ("wie plane ich ein Video für morgen?", "plan"),
        ("wie lasse ich einen Namen richtig aussprechen?", "pronounce"),
    ],
)
async def test_what_no_one_intent_is_has_a_sentence_too(talk: Conversing, sentence: str, topic: str) -> None:
    language = "de" if sentence.startswith("wie") else "en"
    [example] = Replies.of(language).examples([topic])
    assert example in await talk.told(sentence)


async def test_how_what_cannot_be_done_is_done(talk: Conversing) -> None:
    assert (await talk.told("how do I add music?")).startswith("Music and other sounds are added")
    assert (await talk.told("how do I translate a video?")).startswith("I do not translate")


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_example_reads_as_its_intent(reader: Reader, language: str) -> None:
    world = read_world(frozenset(reader.common_words))
    replies = Replies.of(language)
    wrong = {}
    for intent in reader.classifier.labels:
        for example in replies.examples([intent]):
            sentence = QUOTED.findall(example)[0]
            likeliest = [one.intent for one in reader.read(sentence, world, Dialogue().focus(), NOW)[:3]]
            if intent not in likeliest:
                wrong[sentence] = likeliest
    assert wrong == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_intent_has_words_in_each_language(reader: Reader, language: str) -> None:
    tools = [one for one in reader.classifier.labels if not one.startswith(("act.", "plan."))]
    words = {one: Replies.of(language).call(CallRecord(one, {})) for one in tools}
    english = {one: Replies.of("en").call(CallRecord(one, {})) for one in tools}
    assert [one for one in tools if words[one] == one] == []
    assert language == "en" or [one for one in tools if words[one] == english[one]] == []


@pytest.mark.parametrize(
    "text", ["reboot atlas", "restart the machine bolt", "starte atlas neu", "boote bolt neu"]
)
def test_a_machine_is_not_written_anew_for_a_restart(reader: Reader, text: str) -> None:
    world = read_world(frozenset(reader.common_words))
    decision = Interpreter(reader).interpret(text, world, Dialogue(), NOW)
    assert (decision.kind, decision.about) == ("refuse", "restart_machine")
    last = Dialogue(last={"machine": "atlas"}, recent_kind="machine")
    assert Interpreter(reader).interpret("starte ihn neu", world, last, NOW).about == "restart_machine"


def test_what_is_no_restart_of_a_machine_is_none(reader: Reader) -> None:
    world = read_world(frozenset(reader.common_words))
    for text in ("installiere atlas neu", "restart the job stt", "Have Nova say: restart atlas"):
        assert Interpreter(reader).interpret(text, world, Dialogue(), NOW).about != "restart_machine", text


async def test_the_language_of_answers_is_that_of_the_sentence(talk: Conversing) -> None:
    assert "language that you write" in await talk.told("speak German please")
    assert "Sprache, in der du schreibst" in await talk.told("kannst du bitte deutsch sprechen")


async def test_what_was_done_is_told_without_doing_anything(talk: Conversing) -> None:
    assert "nothing" in await talk.told("what did you just do?")
    await talk.say("Make a video where Nova says: The tide comes in.")
    await talk.say("list my videos")
    events = await talk.say("wait, what did you just do?")
    assert calls(events) == []
    assert "The tide comes in" in await talk.told("was hast du gerade gemacht?")


async def test_why_it_asks_is_told_and_the_question_stays_open(talk: Conversing) -> None:
    await talk.say("Make a video where Nova says: The tide comes in.")
    await talk.say("can you put captions on it?")
    events = await talk.say("why do you ask?")
    [text] = [one for one in events if isinstance(one, Text)]
    assert "asked first" in text.text and text.choices == ("Yes", "No")
    assert calls(await talk.say("yes"))[-1:] == ["make_render"]


async def test_what_waits_for_an_approval_is_still_meant_after_a_look(talk: Conversing) -> None:
    await talk.say("create a project called Harbour")
    waits = await talk.say("delete the project Harbour")
    assert any(isinstance(one, ApprovalRequested) for one in waits)
    await talk.say("list my videos")
    assert "waits for approval" in await talk.told("hmm ok yes")
    assert "withdrawn" in await talk.told("undo that")
    assert "nothing to confirm" in await talk.told("yes")


async def test_it_is_what_waits_for_an_approval(talk: Conversing) -> None:
    await talk.say("create a project called Harbour")
    await talk.say("create a project called Tides")
    await talk.say("delete the project Harbour")
    await talk.say("rename it to Moon")
    await talk.say("yes")
    titles = [one.title for one in await talk.services.studio.projects.list()]
    assert sorted(titles) == ["Moon", "Tides"]


@pytest.mark.parametrize(
    ("remember", "forget"),
    [
        ("remember that our school is called Elm Park", "forget that again"),
        ("merk dir, dass unsere Schule Lindenhof heißt", "vergiss das wieder"),
    ],
)
async def test_what_was_remembered_last_is_forgotten_by_a_pronoun(
    talk: Conversing, remember: str, forget: str
) -> None:
    await talk.say(remember)
    assert calls(await talk.say(forget)) == ["memory"]
    assert result(await talk.say("what do you remember?")).get("memories") in ([], None)
