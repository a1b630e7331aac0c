"""Corrections, undo, and questions that only a yes answers: what exists afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from conversing import Conversing, failure

from agent.events import ApprovalRequested, BrainEvent, Text, ToolCalled
from app.composition import Services, open_services
from soundstage.settings import Settings

PERSONAS = Path(__file__).parents[2] / "personas"
VIDEO = "I need a video with Nova: The library is closed on Monday."


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", out_dir=tmp_path / "out", personas_dir=PERSONAS)


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings) as created:
        yield created


@pytest.fixture
def talk(services: Services) -> Conversing:
    return Conversing(services)


async def videos(talk: Conversing) -> list[tuple[str, str]]:
    """Returns presenter and state of each video, the oldest first."""
    found = await talk.services.studio.renders.list()
    return [(one.personas[0], str(one.state)) for one in reversed(found)]


def texts(events: Sequence[BrainEvent]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Text))


async def say_yes(talk: Conversing, sentence: str) -> None:
    """Says a sentence, and yes where that is asked for."""
    events = await talk.say(sentence)
    if any(isinstance(event, Text) and event.choices for event in events):
        await talk.say("yes")


@pytest.mark.parametrize("sentence", ["sorry, Vera", "oh wait, can Vera do that instead"])
async def test_a_corrected_video_takes_the_place_of_the_one_before(talk: Conversing, sentence: str) -> None:
    await say_yes(talk, VIDEO)
    await say_yes(talk, sentence)
    assert await videos(talk) == [("nova", "cancelled"), ("vera", "queued")]
    await say_yes(talk, "is it ready yet?")
    await talk.say("undo that")
    assert await videos(talk) == [("nova", "queued"), ("vera", "cancelled")]


async def test_of_two_videos_a_correction_replaces_the_one_it_changes(talk: Conversing) -> None:
    await say_yes(talk, "Vera says: School is closed tomorrow. And Milo says: Hooray!")
    assert await videos(talk) == [("vera", "queued"), ("milo", "queued")]
    await say_yes(talk, "a bit slower")
    assert await videos(talk) == [("vera", "queued"), ("milo", "cancelled"), ("milo", "queued")]


@pytest.mark.parametrize(
    ("sentence", "states"),
    [
        ("oops, it should say grown-ups", ["queued"]),
        ("it should say: Good morning.", ["cancelled", "queued"]),
        ('it should say "Good morning"', ["cancelled", "queued"]),
    ],
)
async def test_words_without_colon_or_marks_take_the_place_of_a_text_after_a_yes(
    talk: Conversing, sentence: str, states: list[str]
) -> None:
    await say_yes(talk, VIDEO)
    await talk.say(sentence)
    assert [state for _, state in await videos(talk)] == states


async def test_a_yes_after_a_change_that_failed_answers_no_earlier_question(talk: Conversing) -> None:
    await say_yes(talk, VIDEO)
    assert "Shall I" in texts(await talk.say("no, on Tuesday"))
    assert failure(await talk.say("delete the last video")).code == "render.active"
    await talk.say("yes")
    assert await videos(talk) == [("nova", "queued")]


async def test_a_new_title_is_asked_about_with_the_name_of_the_only_project(talk: Conversing) -> None:
    await say_yes(talk, "start a new project called Harbour")
    other = Conversing(talk.services)
    question = texts(await other.say("kannst du das Projekt bitte umbenennen in Elternabend"))
    assert "Projekt „Harbour“ umbenennen in „Elternabend“" in question


async def test_a_second_version_leaves_the_first_one_alone(talk: Conversing) -> None:
    await say_yes(talk, VIDEO)
    await say_yes(talk, "and with Vera as well")
    assert await videos(talk) == [("nova", "queued"), ("vera", "queued")]


async def test_a_name_in_a_question_is_no_yes(talk: Conversing) -> None:
    await say_yes(talk, "start a new project called Harbour")
    prompt = await talk.say("get rid of Harbour")
    # A question, or the approval that a deletion needs.
    assert any(
        isinstance(one, ApprovalRequested) or (isinstance(one, Text) and one.choices) for one in prompt
    )
    answer = await talk.say("Harbour")
    assert not any(isinstance(event, ToolCalled) and event.tool == "edit_project" for event in answer)
    assert [one.title for one in await talk.services.studio.projects.list()] == ["Harbour"]


@pytest.mark.parametrize(
    "sentence",
    ["I said: don't cancel it", "did that delete my video?", "i like Nova", "my video never came out"],
)
async def test_what_names_nothing_to_destroy_destroys_nothing(talk: Conversing, sentence: str) -> None:
    await say_yes(talk, VIDEO)
    await say_yes(talk, sentence)
    assert [state for presenter, state in await videos(talk) if presenter == "nova"][:1] == ["queued"]


async def test_reported_speech_becomes_no_scene(talk: Conversing) -> None:
    for sentence in ("start a new project called Harbour", "add a scene where Nova says: One."):
        await say_yes(talk, sentence)
    await talk.say("I said: don't delete it")
    scenes = await talk.services.studio.scenes.list("harbour")
    assert [one.script for one in scenes] == ["One."]


async def test_moves_and_changes_of_scenes_are_taken_back(talk: Conversing) -> None:
    for sentence in (
        "start a new project called Harbour",
        "add a scene where Nova says: One.",
        "add a scene where Nova says: Two.",
        "put the last scene first",
    ):
        await say_yes(talk, sentence)
    scenes = talk.services.studio.scenes
    assert [one.script for one in await scenes.list("harbour")] == ["Two.", "One."]
    await talk.say("undo that")
    assert [one.script for one in await scenes.list("harbour")] == ["One.", "Two."]


async def test_what_follows_a_colon_is_the_text_word_for_word(talk: Conversing) -> None:
    await talk.say("I need a little video for my class")
    await say_yes(talk, "it should say: Tomorrow we meet at eight at the bus stop.")
    [render] = await talk.services.studio.renders.list()
    detail = await talk.services.studio.renders.detail(render.id)
    assert [scene.script for scene in detail.spec.scenes] == ["Tomorrow we meet at eight at the bus stop."]


async def test_a_project_is_filmed_in_the_look_that_is_named(talk: Conversing) -> None:
    for sentence in ("start a new project called Harbour", "add a scene where Nova says: One."):
        await say_yes(talk, sentence)
    await say_yes(talk, "make a video of the whole thing in 720p")
    [render] = await talk.services.studio.renders.list()
    canvas = (await talk.services.studio.renders.detail(render.id)).spec.canvas
    assert (canvas.width, canvas.height) == (1280, 720)
