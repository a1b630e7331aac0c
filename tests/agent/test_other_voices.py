"""A wish for another kind of voice is answered with the presenters who have one."""

from __future__ import annotations

from pathlib import Path

import pytest
from conversing import Conversing, calls

from agent.events import Text
from agent.tools.personas.voices import with_voice
from agent.understanding.changes import voice_in
from app.composition import Services
from studio.personas.schemas import Persona

PERSONAS = Path(__file__).parents[2] / "personas"
LOW = ["Harjit", "Milo", "Walter", "Leo", "Finn"]


@pytest.fixture
async def talk(services: Services) -> Conversing:
    assert services.settings.personas_dir is not None
    for path in PERSONAS.glob("*.yaml"):
        (services.settings.personas_dir / path.name).write_bytes(path.read_bytes())
    return Conversing(services)


async def choices(talk: Conversing, text: str) -> list[str]:
    return [one for event in await talk.say(text) if isinstance(event, Text) for one in event.choices]


@pytest.mark.parametrize(
    ("text", "voice"),
    [
        ("use a male voice", "male"),
        ("a woman's voice please", "female"),
        ("could you use a female presenter instead?", "female"),
        ("I'd prefer a deeper voice", "deep"),
        ("her voice is too high", "deep"),
        ("make the voice a bit higher", "high"),
        ("try another voice", "other"),
        ("eine tiefere Stimme", "deep"),
        ("bitte mit einer Frauenstimme", "female"),
        ("nimm einen Mann", "male"),
        ("mach die Stimme etwas heller", "high"),
        ("die Stimme klingt zu tief", "high"),
        ("eine andere Stimme bitte", "other"),
        ("Nova says: use a male voice", None),
        ("the man's voice was in the first video", None),
        ("write a script about the human voice", None),
        ("stop the voice job", None),
        ("lower the volume", None),
        ("nimm Milo", None),
    ],
)
def test_words_for_a_kind_of_voice(text: str, voice: str | None) -> None:
    assert voice_in(text) == voice


async def test_presenters_are_compared_by_how_high_their_voices_are(talk: Conversing) -> None:
    personas: list[Persona] = list(talk.services.studio.library.list())
    by_name = {one.name: one for one in personas}

    def names(kind: str, than: str = "") -> list[str]:
        return [one.name for one in with_voice(personas, kind, by_name.get(than))]

    assert names("male") == LOW and names("female") == ["Mei", "Amina", "Nova", "Zuri", "Vera"]
    assert names("deep", than="Milo") == ["Harjit"]
    assert names("high", than="Amina") == ["Mei"]
    assert names("deep", than="Harjit") == []
    assert len(names("other", than="Nova")) == len(personas) - 1


async def test_who_is_chosen_speaks_in_the_last_video(talk: Conversing) -> None:
    await talk.say("make a video where Nova says: Hello there.")
    assert await choices(talk, "use a male voice") == LOW
    events = await talk.say("the second one")
    assert calls(events) == ["cancel_render", "make_render"]
    newest = await talk.services.studio.renders.list(limit=1)
    assert (newest[0].personas, newest[0].title) == (["milo"], "Hello there")


async def test_a_deeper_voice_than_the_deepest_is_not_there(talk: Conversing) -> None:
    await talk.say("make a video where Harjit says: Hello there.")
    assert (await talk.told("eine tiefere Stimme bitte")).startswith("Keine andere Figur hat")


async def test_the_presenter_of_a_project_is_another_one(talk: Conversing) -> None:
    await talk.say("Create a project called Tides from this text: One.")
    await talk.say("eine Männerstimme bitte")
    await talk.say("Leo")
    assert (await talk.services.studio.projects.get("tides")).persona == "leo"


async def test_words_are_asked_for_where_there_are_none_yet(talk: Conversing) -> None:
    assert await choices(talk, "a female voice please") == ["Mei", "Amina", "Zuri", "Vera"]
    assert await talk.told("Zuri") == "What should Zuri say?"


async def test_a_voice_in_the_place_of_a_name(talk: Conversing) -> None:
    assert await choices(talk, "make a video with a male voice that says: hello world") == LOW
    await talk.say("Leo")
    [render] = await talk.services.studio.renders.list()
    assert (render.personas, render.title) == (["leo"], "hello world")
