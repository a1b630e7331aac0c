"""A German sentence is answered in German: by tools, errors and questions alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from conversing import Conversing

from agent.answering.translation import Translation
from agent.events import ApprovalRequested, Failure, Text
from agent.presentation import Id, Link, StateLabel, page, paragraph, table
from agent.tools.renders.queue import QueueAnswer, QueueLine
from app.composition import Services
from studio.renders.schemas import AFTER_FRAMES, Progress

DE = Translation.of("de")
FILE = Path(__file__).parents[2] / "agent/replies/tools/de.yaml"
SENTENCES: dict[str, str] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["sentences"]
ENGLISH = re.compile(
    r"\b(?:the|is|are|and|with|has|have|there|say|you|your|it|not|of|for|this|that|now|been|video is)\b"
)
CONVERSATION = (
    "Mach ein Video mit Milo",
    "Das Training fällt am Donnerstag aus.",
    "nein, am Freitag",
    "ja",
    "bitte mit Untertiteln",
    "langsamer",
    "mach das rückgängig",
    "welche Videos habe ich?",
    "ist es fertig?",
    "lösch das Video",
    "wer kann sprechen?",
    "leg ein Projekt Sommerfest an",
    "füge eine Szene hinzu: Willkommen zum Sommerfest.",
    "lösch Szene 1",
    "ja",
    "welche Projekte gibt es?",
    "mach einen Film aus dem Projekt Nordsee",
    "merk dir, dass wir Milo nehmen",
    "was weißt du über mich?",
    "vergiss das mit Milo",
    "ja",
    "welche Maschinen gibt es?",
    "was ist geplant?",
    "xyzzy blubb quark und nichts",
    "Kannst du das auch auf Englisch machen?",
    "was kostet das?",
    "was meinst du damit?",
    "Stell das letzte Video auf YouTube.",
)


async def test_a_german_conversation_has_no_english_in_it(services: Services) -> None:
    name = "id: milo\nname: Milo\nface: {kind: rig, character: milo}\n"
    (services.settings.personas_dir / "milo.yaml").write_text(name)
    talk = Conversing(services)
    found = {}
    for sentence in CONVERSATION:
        for event in await talk.say(sentence):
            if isinstance(event, Text | Failure):
                words = event.text if isinstance(event, Text) else f"{event.message} {event.hint}"
                if english := ENGLISH.findall(words.lower()):
                    found[sentence] = (words, english)
    assert found == {}


async def test_what_waits_for_approval_is_worded_as_the_answer(services: Services) -> None:
    talk = Conversing(services)
    await talk.say("leg ein Projekt Sommerfest an")
    events = await talk.say("lösch das Projekt Sommerfest")
    [approval] = [one for one in events if isinstance(one, ApprovalRequested)]
    assert approval.message.startswith("Das wartet, bis jemand zustimmt")
    assert approval.message in "".join(one.text for one in events if isinstance(one, Text))


async def test_a_question_about_a_text_shows_it(services: Services) -> None:
    question = await Conversing(services).told(
        "nimm diesen text: Das Wasser steigt auf. Dann bildet es Wolken."
    )
    assert "Text schreiben, „Das Wasser steigt auf." in question


@pytest.mark.parametrize("stage", [*AFTER_FRAMES, "frames"])
def test_the_queue_says_in_german_how_far_a_video_is(stage: str) -> None:
    how_far = Progress(stage=stage, frames_done=3, frames_total=40).sentence
    line = QueueLine(render_id="rnd_1", title="Flut", position=None, sentence=how_far)
    shown = Text(text="", blocks=QueueAnswer(action="show", running=(line,)).presentation())
    assert ENGLISH.findall(DE.message(shown).text.lower()) == []


@pytest.mark.parametrize("source", SENTENCES)
def test_each_sentence_is_found_with_its_own_names(source: str) -> None:
    names = re.findall(r"\{(\w+)\}", source)
    values = {name: f"Wert{place}" for place, name in enumerate(names)}
    target = SENTENCES[source]
    assert set(re.findall(r"\{(\w+)\}", target)) <= set(names)
    assert DE.text(source.format_map(values)) == target.format_map(values)


def test_links_ids_and_states_keep_their_places() -> None:
    link, number = Link(to="video", id="rnd_1", text="“Flut”"), Id(text=" (rnd_1)")
    text = Text(
        text="",
        blocks=page(
            paragraph("I am making ", link, " with Nova.", number),
            table("Videos", ("Id", "State", "Title"), [(Id(text="rnd_1"), StateLabel(state="queued"), link)]),
        ),
    )
    found = DE.message(text)
    assert found.text.splitlines()[0] == "Ich mache „Flut“ mit Nova. (rnd_1)"
    assert "wartet" in found.text
    [first, second] = found.blocks or ()
    assert [one.id for one in first.content if isinstance(one, Link)] == ["rnd_1"]  # type: ignore[union-attr]
    assert second.heads == ("Id", "Zustand", "Titel")  # type: ignore[union-attr]


def test_what_is_not_there_stays_as_it_is() -> None:
    assert DE.text("Nobody has ever translated this.") == "Nobody has ever translated this."
    assert Translation.of("xx").text("I am making it with Nova.") == "I am making it with Nova."
