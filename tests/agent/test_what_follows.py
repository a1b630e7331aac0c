"""Follows an offer, an order that waits for approval, or a failure with what strangers say next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from conversing import Conversing, calls
from dialogue_stage import Dialogue, open_stage
from test_strangers_wishes import WORLD as STUDIO

from agent.events import BrainEvent, Text, ToolCalled

WORLD: dict[str, Any] = {**STUDIO, "machines": ["atlas", "bolt"]}


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Conversing]:
    async with open_stage(Dialogue("what follows", (), expected={}, world=WORLD), tmp_path) as stage:
        yield Conversing(stage.services)


async def say(talk: Conversing, *sentences: str) -> list[BrainEvent]:
    """Returns the events of the last of several sentences."""
    events: list[BrainEvent] = []
    for sentence in sentences:
        events = await talk.say(sentence)
    return events


def offer(events: list[BrainEvent]) -> str:
    """Returns the words of a question; nothing was done for it."""
    found = [one for one in events if isinstance(one, Text)]
    assert found and found[-1].choices and calls(events) == [], events
    return found[-1].text


def words(events: list[BrainEvent]) -> str:
    return "\n".join(one.text for one in events if isinstance(one, Text))


def last_call(events: list[BrainEvent]) -> dict[str, Any]:
    """Returns the arguments of the last call."""
    called = [one for one in events if isinstance(one, ToolCalled)]
    assert called, events
    return {name: value for name, value in called[-1].arguments.items() if value is not None}


@pytest.mark.parametrize(
    "sentences",
    [
        (
            "make a project called Science Week",
            "add a scene that says welcome to you all",
            "add a scene that says see you soon",
        ),
        ("Leg ein Projekt Science Week an", "füge eine Szene hinzu: eins", "füge eine Szene hinzu: zwei"),
    ],
    ids=["en", "de"],
)
@pytest.mark.parametrize("where", ["put it between the other two", "schieb sie dazwischen"])
async def test_an_offered_scene_goes_between_two_others(
    talk: Conversing, sentences: tuple[str, ...], where: str
) -> None:
    await say(talk, *sentences)
    await talk.say("add a scene about safety, the text is goggles on please")
    assert "after scene 1" in (question := offer(await talk.say(where))) or "nach Szene 1" in question
    assert last_call(await talk.say("yes"))["after"] == "1"


async def test_it_is_the_scene_that_was_added_or_moved_last(talk: Conversing) -> None:
    await say(
        talk,
        "make a project called Science Week",
        "add a scene that says welcome to you all",
        "add a scene that says see you soon",
    )
    first = last_call(await talk.say("move it to the beginning"))
    assert (first["scene"], first["to"]) == ("2", "first")
    back = last_call(await talk.say("move it to the end"))
    assert (back["action"], back["scene"], back["to"]) == ("move_scene", "1", "last")
    assert "scene 2" in offer(await talk.say("delete it"))


async def test_another_thing_takes_the_place_of_the_offered_one(talk: Conversing) -> None:
    await say(talk, "show me all videos", "delete the second one")
    assert "“Tides”" in offer(await talk.say("sorry, the third"))


async def test_another_machine_takes_the_place_of_what_waits_for_approval(talk: Conversing) -> None:
    await talk.say("drain bolt")
    assert "atlas" in offer(await talk.say("no wait, i meant atlas"))
    await talk.say("yes")
    waiting = words(await talk.say("what waits for approval?"))
    assert "atlas" in waiting and "bolt" not in waiting


async def test_a_publication_that_waits_for_approval_keeps_its_day(talk: Conversing) -> None:
    await talk.say("publish Tides on friday at 8")
    at_nine = offer(await talk.say("hmm, make that 9"))
    assert "Friday" in at_nine and "09:00" in at_nine
    await talk.say("yes")
    assert "1 request waits" in words(await talk.say("what waits for approval?"))


async def test_what_is_looked_at_leaves_an_offer_open(talk: Conversing) -> None:
    await say(talk, "show me Tides", "publish the done one unlisted", "who has to approve that?")
    assert last_call(await talk.say("yes"))["privacy"] == "unlisted"


async def test_what_is_looked_at_ends_the_offer_to_delete(talk: Conversing) -> None:
    await say(talk, "show me all videos", "delete the third one")
    assert calls(await say(talk, "show me Bridge", "yes")) == []


@pytest.mark.parametrize("ends", ["cancel that request", "withdraw my request", "zieh die Anfrage zurück"])
async def test_a_request_that_waits_is_withdrawn(talk: Conversing, ends: str) -> None:
    await talk.say("publish Tides unlisted")
    await talk.say(ends)
    assert "Nothing waits" in await talk.told("what waits for approval?")


async def test_a_video_in_work_is_published_once_it_is_done(talk: Conversing) -> None:
    await talk.say("make a video where Milo says the shop opens at nine")
    planned = offer(await talk.say("perfect, publish it tomorrow at noon"))
    assert planned.startswith("When the video “The shop opens at nine” is ready")
    other = offer(await talk.say("hm no make that friday"))
    assert "on Friday" in other and "12:00" in other
    [step] = last_call(await talk.say("ok yes"))["steps"]
    assert step["when"]["becomes"] == "done"
    assert step["calls"][0]["arguments"]["publish_at"][11:16] == "12:00"


@pytest.mark.parametrize(
    ("order", "change", "days"),
    [
        ("every monday at 8 make a video where Nova says good morning", "actually tuesday", ["tuesday"]),
        ("every monday at 8 make a video where Nova says good morning", "no, every friday", ["friday"]),
    ],
)
async def test_a_plan_for_a_day_gets_another_day(
    talk: Conversing, order: str, change: str, days: list[str]
) -> None:
    await say(talk, order, change)
    [step] = last_call(await talk.say("yes"))["steps"]
    assert (step["when"]["days"], step["when"]["time"]) == (days, "08:00")


async def test_what_is_not_wanted_is_not_done_by_a_later_yes(talk: Conversing) -> None:
    await say(talk, "every monday at 8 make a video where Nova says good morning", "that is not what i want")
    assert calls(await talk.say("yes")) == []


@pytest.mark.parametrize(
    ("before", "change", "script"),
    [
        (
            "make a video where Nova says the meeting is at 7",
            "make it 7:30 instead",
            "The meeting is at 7:30",
        ),
        ("make a video where Nova says we open on Monday", "make that Friday", "We open on Friday"),
        (
            "Mach ein Video, in dem Nova sagt: Wir öffnen am Montag",
            "mach Freitag draus",
            "Wir öffnen am Freitag",
        ),
        (
            "make a video where Nova says hello everybody",
            'no wait, add "My name is Nova" at the start',
            "My name is Nova. Hello everybody",
        ),
        (
            "make a video where Nova says hello everybody",
            'add "See you." at the end',
            "Hello everybody. See you.",
        ),
    ],
)
async def test_some_words_of_a_text_are_changed(
    talk: Conversing, before: str, change: str, script: str
) -> None:
    await talk.say(before)
    offer(await talk.say(change))
    assert last_call(await talk.say("yes"))["script"] == script


async def test_a_quality_is_no_number_of_the_text(talk: Conversing) -> None:
    await talk.say("make a video where Nova says the meeting is at 7")
    film = last_call(await talk.say("make it 480p"))
    assert (film["script"], film["quality"]) == ("The meeting is at 7", "480p")


async def test_the_same_with_two_presenters_is_two_videos(talk: Conversing) -> None:
    await talk.say("Nova says welcome to the open day")
    question = offer(await talk.say("now the same with Leo and Zuri"))
    assert "with Leo" in question and "with Zuri" in question
    assert "leave it" in words(await talk.say("cancel both"))


@pytest.mark.parametrize("sentence", ["let the doctor say it", "now with the doctor", "let Mei say it"])
async def test_another_presenter_may_be_called_by_the_role(talk: Conversing, sentence: str) -> None:
    await talk.say("make a video with Nova: Good morning everyone")
    assert last_call(await talk.say(sentence))["persona"] == "Mei"


async def test_a_role_in_a_text_is_spoken(talk: Conversing) -> None:
    film = last_call(await talk.say("make a video where Nova says the doctor is in"))
    assert (film["persona"], film["script"]) == ("Nova", "The doctor is in")


@pytest.mark.parametrize("failing", ["run the verify playbook on atlas", "scale the avatar job to 2"])
async def test_after_a_failure_nothing_of_a_video_is_stopped(talk: Conversing, failing: str) -> None:
    await talk.say(failing)
    assert "show_render" not in calls(await talk.say("how is it going?"))
    assert "cancel_render" not in calls(await talk.say("stop it"))


async def test_a_machine_of_a_command_that_failed_is_spoken_of(talk: Conversing) -> None:
    await talk.say("run uptime on atlas")
    assert last_call(await talk.say("drain it"))["machine"] == "atlas"


async def test_delete_it_asks_what_where_nothing_was_spoken_of(talk: Conversing) -> None:
    assert "Which video?" in offer(await talk.say("delete it"))


async def test_that_one_is_the_only_one_of_a_list(talk: Conversing) -> None:
    await talk.say("how many videos are waiting?")
    assert "“Museum”" in offer(await talk.say("put that one first"))


@pytest.mark.parametrize(
    ("answer", "persona", "script"),
    [
        ("The text is: Plants drink water. Amina should say it please", "Amina", "Plants drink water."),
        (
            "Plants drink water. Leaves catch light. With Milo, please",
            "Milo",
            "Plants drink water. Leaves catch light.",
        ),
    ],
)
async def test_who_speaks_a_text_is_no_sentence_of_it(
    talk: Conversing, answer: str, persona: str, script: str
) -> None:
    await talk.say("I want a video")
    first, _ = [one for one in await talk.say(answer) if isinstance(one, Text) and one.choices][-1].choices
    film = last_call(await talk.say(first))
    assert (film["persona"], film["script"]) == (persona, script)


async def test_a_label_is_no_word_of_a_text(talk: Conversing) -> None:
    await talk.say("i want make vidoe for my restaurnt")
    assert last_call(await talk.say("text is Welcome at Casa Lupo."))["script"] == "Welcome at Casa Lupo."
    part = offer(await talk.say('i see mistake, must be "Welcome to Casa Lupo", not at'))
    assert "Welcome to Casa Lupo" in part


async def test_a_request_is_not_spoken(talk: Conversing) -> None:
    await talk.say("i want a video")
    assert "make_render" not in calls(
        await talk.say("Könnte man diese wohl am Montag um 10 Uhr auf YouTube veröffentlichen?")
    )


async def test_a_name_that_is_taken_back_at_once_is_not_meant(talk: Conversing) -> None:
    await talk.say("make a video with Mei: Hello all of you")
    assert last_call(await talk.say("and Vera instead of Mei. Or no, Harjit"))["persona"] == "Harjit"


async def test_nobody_is_deleted_where_a_video_shall_be_as_it_was(talk: Conversing) -> None:
    await say(talk, "make a video with Mei: Hello all of you", "now with Harjit")
    assert calls(await talk.say("forget Harjit, leave it with Mei as it was")) == [
        "cancel_render",
        "retry_render",
    ]


async def test_names_of_scenes_wait_for_the_title_of_their_project(talk: Conversing) -> None:
    await talk.say("Ich bin der Kassenwart vom Gartenverein und brauche ein Video für die Versammlung.")
    await talk.say("Es soll ein Projekt mit drei Szenen werden: Begrüßung, Kassenbericht und Ausblick")
    named = offer(await talk.say("Jahresbericht"))
    assert "„Jahresbericht“" in named and "„Kassenbericht“" in named
    await talk.say("ja")
    assert last_call(await talk.say("jetzt bitte alles fertigstellen"))["project"]


async def test_a_text_goes_into_no_project_that_was_not_named(talk: Conversing) -> None:
    await talk.say("Dann ergänzen Sie beim Kassenbericht noch: Es bleibt ein Überschuss.")
    assert calls(await talk.say("Und der Ausblick: Im Frühjahr bauen wir das neue Vereinshaus.")) == []


async def test_a_polite_infinitive_orders(talk: Conversing) -> None:
    named = offer(await talk.say("Wären Sie so freundlich, das Museumsvideo in „Museumstag“ umzubenennen?"))
    assert "„Museum“" in named and "„Museumstag“" in named
    planned = "Und wäre es möglich, jeden Freitag um 9 Uhr ein Video mit dem Text „Ade“ erstellen zu lassen?"
    assert "am Freitag um 09:00" in offer(await talk.say(planned))


@pytest.mark.parametrize("sentence", ["in 8K", "no!! of course not, I was only testing you"])
async def test_what_nobody_can_do_or_means_does_nothing(talk: Conversing, sentence: str) -> None:
    await talk.say("make a video saying hi")
    assert calls(await talk.say(sentence)) == []


@pytest.mark.parametrize(
    ("before", "title"), [("show me Tides", "Tides"), ("show me the summer fair project", "Summer fair")]
)
async def test_what_shall_be_different_is_inquired_by_name(talk: Conversing, before: str, title: str) -> None:
    assert f"“{title}”" in words(await say(talk, before, "i don't like that"))


async def test_going_back_behind_a_question_is_no_order(talk: Conversing) -> None:
    await talk.say("make a video: The pool opens on the first of May")
    assert calls(await talk.say("hmm what did it look like before, upright? then go back to that")) == []


async def test_a_quality_that_nobody_makes_is_no_part_of_a_text(talk: Conversing) -> None:
    assert calls(await say(talk, "mach ein Video", "na gut, dann mit dem Text: Hallo. Aber in 16K")) == []


@pytest.mark.parametrize(
    ("first", "text"),
    [
        ("make a video", "Join our 8k run on Sunday morning at the harbour"),
        ("mach ein Video", "Unser 16k-Fernseher hängt jetzt in der Aula, kommt vorbei"),
    ],
)
async def test_a_text_may_speak_of_8k(talk: Conversing, first: str, text: str) -> None:
    events = await say(talk, first, text)
    if calls(events) == []:
        events = await talk.say("yes" if first.startswith("make") else "ja")
    assert last_call(events)["script"] == text


@pytest.mark.parametrize(
    "sentence", ["can you do it in 8K please?", "I want that one in 8k", "in 8k, please"]
)
async def test_8k_is_refused_where_a_text_was_asked_for(talk: Conversing, sentence: str) -> None:
    assert "2160p" in words(answered := await say(talk, "make a video", sentence)), answered
    assert calls(answered) == []
