"""A new project whose title another one has is asked about, and nothing is added to the other one."""

from __future__ import annotations

import pytest
from conversing import Conversing, calls, result

from app.composition import Services

ASKS = "There is already a project “Harbour”. Go on with that one, or make another of the same name?"


@pytest.fixture
async def talk(services: Services) -> Conversing:
    """With the project Harbour of one scene."""
    talk = Conversing(services)
    await talk.say("Create a project called Harbour from this text: One.")
    return Conversing(services)


async def scripts(talk: Conversing) -> dict[str, list[str]]:
    """Returns the words of all scenes, by the names of their projects in addresses."""
    studio = talk.services.studio
    return {
        one.slug: [scene.script for scene in await studio.scenes.list(one.id)]
        for one in await studio.projects.list()
    }


@pytest.mark.parametrize("text", ["Create a project called Harbour", "make a new project harbour"])
async def test_it_is_asked_before_anything_is_made(talk: Conversing, text: str) -> None:
    assert await talk.told(text) == ASKS
    assert await scripts(talk) == {"harbour": ["One."]}


async def test_a_title_that_was_asked_for_is_asked_about_too(talk: Conversing) -> None:
    await talk.say("create a project")
    assert await talk.told("Harbour") == ASKS


@pytest.mark.parametrize("answer", ["make another one", "Make another one", "a new one please", "the second"])
async def test_another_one_has_its_own_address_which_is_told(talk: Conversing, answer: str) -> None:
    await talk.say("Create a project called Harbour")
    answered = await talk.told(answer)
    assert "Another project is called so, too; this one is harbour-2." in answered
    await talk.say("Add a scene where Nova says: Two.")
    assert await scripts(talk) == {"harbour": ["One."], "harbour-2": ["Two."]}


@pytest.mark.parametrize("answer", ["go on with it", "add to it", "that one", "the first"])
async def test_the_one_that_is_there_is_shown_and_gone_on_with(talk: Conversing, answer: str) -> None:
    await talk.say("Create a project called Harbour")
    assert "1. One." in await talk.told(answer)
    await talk.say("Add a scene where Nova says: Two.")
    assert await scripts(talk) == {"harbour": ["One.", "Two."]}


async def test_it_is_asked_in_german(talk: Conversing) -> None:
    await talk.say("Erstelle bitte ein neues Projekt namens Harbour")
    answered = await talk.told("noch ein anderes Projekt")
    assert (await scripts(talk)).keys() == {"harbour", "harbour-2"}, answered


async def test_what_is_done_with_the_new_one_is_done_with_no_other(talk: Conversing) -> None:
    """The title would mean the project that is there."""
    events = await talk.say("create a project Harbour and add a scene where Nova says: Two.")
    assert calls(events) == ["edit_project", "edit_project"]
    assert result(events)["project"] == "Harbour 2"
    assert await scripts(talk) == {"harbour": ["One."], "harbour-2": ["Two."]}
