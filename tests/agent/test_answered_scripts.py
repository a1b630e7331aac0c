"""To “What should be said?” the answer is the script, word for word, whatever order it resembles."""

from __future__ import annotations

import pytest
from conversing import Conversing, calls

from agent.events import BrainEvent, ToolCalled
from app.composition import Services
from soundstage.settings import Settings

PERSONA = "id: {id}\nname: {name}\nface: {{kind: rig, character: nova}}\n"

SCRIPTS = (
    "Welcome to the lab, put on your goggles",
    "Please put on your goggles before you enter",
    "Hello everybody, today we look at volcanoes",
    "Stop. Look. Listen.",
    "Delete old files every Friday and restart your machine",
    "We publish our results every week on YouTube",
    "Hello, I am Vera and I teach physics",
    "Thanks for watching",
    "Wir veröffentlichen jede Woche ein neues Video",
)
LED = {
    "say: Good evening": "Good evening",
    "just say hi to everyone": "Hi to everyone",
    "he should say that the library is closed on Monday": "The library is closed on Monday",
    "Sag einfach Guten Morgen zusammen": "Guten Morgen zusammen",
    "“Quoted words are the script” in square": "Quoted words are the script",
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    for name in ("Milo", "Vera"):
        (settings.personas_dir / f"{name.lower()}.yaml").write_text(
            PERSONA.format(id=name.lower(), name=name)
        )
    return settings


async def give_answer(services: Services, answer: str) -> list[BrainEvent]:
    """Makes a video whose title some answers resemble, and answers the question for the next script."""
    talk = Conversing(services)
    await talk.say("Make a video where Nova says: Welcome to the lab.")
    assert await talk.told("I need a short clip spoken by Vera") == "What should Vera say?"
    return await talk.say(answer)


def videos_of(events: list[BrainEvent]) -> list[tuple[str, str]]:
    """Returns presenter and script of each video."""
    return [
        (event.arguments["persona"], event.arguments["script"])
        for event in events
        if isinstance(event, ToolCalled) and event.tool == "make_render"
    ]


@pytest.mark.parametrize("script", SCRIPTS)
async def test_an_answer_is_the_script_word_for_word(services: Services, script: str) -> None:
    events = await give_answer(services, script)
    assert videos_of(events) == [("Vera", script)]
    assert calls(events) == ["make_render"]


@pytest.mark.parametrize(("answer", "script"), LED.items())
async def test_words_that_lead_to_the_script_are_not_spoken(
    services: Services, answer: str, script: str
) -> None:
    assert videos_of(await give_answer(services, answer)) == [("Vera", script)]


async def test_an_answer_that_is_a_whole_order_is_carried_out(services: Services) -> None:
    assert videos_of(await give_answer(services, "Make a video where Milo says: Hi")) == [("Milo", "Hi")]


@pytest.mark.parametrize("answer", ["never mind", "cancel", "stop", "no, forget it", "vergiss es"])
async def test_who_gives_the_question_up_cancels_no_video(services: Services, answer: str) -> None:
    assert calls(await give_answer(services, answer)) == []


@pytest.mark.parametrize(
    ("answer", "tool"),
    [
        ("list my videos", "list_renders"),
        ("is it done?", "show_render"),
        ("how many videos do I have now?", "list_renders"),
    ],
)
async def test_a_question_is_answered_and_not_spoken(services: Services, answer: str, tool: str) -> None:
    assert calls(await give_answer(services, answer)) == [tool]


async def test_a_topic_may_be_what_a_project_is_called(services: Services) -> None:
    for talk in (Conversing(services), Conversing(services)):
        assert "about" in await talk.told("I want a film and you write it")
        # Nobody can write here, so the words are asked for, too.
        assert "What should be said about dogs?" in await talk.told("dogs")
        events = await talk.say("Dogs like to play.")
        assert calls(events) == ["write_script"]
        assert next(e.arguments["topic"] for e in events if isinstance(e, ToolCalled)) == "dogs"


async def test_a_change_that_names_only_values_is_made(services: Services) -> None:
    talk = Conversing(services)
    await talk.say("Make a video where Nova says: Welcome.")
    assert videos_of(await talk.say("can Milo say it instead")) == [("Milo", "Welcome.")]
    changed = await talk.say("Make it vertical with burned captions")
    orders = [
        event.arguments for event in changed if isinstance(event, ToolCalled) and event.tool == "make_render"
    ]
    assert [(one["shape"], one["captions"]) for one in orders] == [("vertical", "burned")]


async def test_a_pronoun_is_no_script(services: Services) -> None:
    talk = Conversing(services)
    await talk.say("Make a video where Nova says: Welcome.")
    assert videos_of(await talk.say("say it in German")) == []


@pytest.mark.parametrize("answer", ["undo that", "mach das rückgängig"])
async def test_undo_is_no_script(services: Services, answer: str) -> None:
    assert videos_of(await give_answer(services, answer)) == []
