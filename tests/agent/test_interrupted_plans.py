"""A plan whose process ends between two of its calls is gone on with: what was done is not done again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from conversing import Conversing, calls
from dying import cancel_at, die_at
from model_talk import Talking
from scripted_model import Say
from test_model_plans import PLAN, UNSURE

from agent.events import BrainEvent, Text, ToolCalled
from agent.sessions.service import SessionService
from agent.tools.toolset import ToolCall
from app.composition import Services, open_services
from policy import Principal
from soundstage.settings import Settings

TWO_CALLS = "create a project called Harbour and put a scene into it where Nova says: Welcome"
ME = Principal.local_admin("test")


@asynccontextmanager
async def restart_at(
    settings: Settings, sentence: str, stops: Callable[[ToolCall], bool], *, after: bool = False
) -> AsyncIterator[Conversing]:
    """Yields the conversation in another process, after its first sentence has died at a call."""
    async with open_services(settings) as services:
        talk = Conversing(services, ME)
        await die_at(talk, sentence, stops, after=after)
    async with open_services(settings) as services:
        again = Conversing(services, ME)
        again.session_id = talk.session_id
        yield again


def adds_scene(call: ToolCall) -> bool:
    return call.rule == "edit_project.add_scene"


def last_text(events: list[BrainEvent]) -> Text:
    return [event for event in events if isinstance(event, Text)][-1]


def texts(events: list[BrainEvent]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Text))


async def scripts(services: Services) -> dict[str, list[str]]:
    return {
        one.title: [scene.script for scene in await services.studio.scenes.list(one.id)]
        for one in await services.studio.projects.list()
    }


async def first_turn(talk: Conversing) -> str:
    assert talk.session_id is not None
    sessions: SessionService = talk.services.brain.sessions
    [turn, *_] = await sessions.turns(ME, talk.session_id)
    return f"{turn.state}: {turn.reply}"


async def test_what_is_left_is_done_after_a_yes_and_nothing_twice(settings: Settings) -> None:
    def creates(call: ToolCall) -> bool:
        return call.rule == "edit_project.create"

    async with restart_at(settings, TWO_CALLS, creates, after=True) as talk:
        assert await scripts(talk.services) == {"Harbour": []}
        assert (await first_turn(talk)).startswith("interrupted: ")
        events = await talk.say("go on")
        assert calls(events) == []
        assert "The server stopped" in texts(events) and "Done: Create a project" in texts(events)
        assert last_text(events).choices == ("Yes", "No") and "Welcome" in last_text(events).text
        assert calls(await talk.say("yes")) == ["edit_project"]
        assert await scripts(talk.services) == {"Harbour": ["Welcome"]}
        assert calls(await talk.say("go on")) == [], "once"
        assert await scripts(talk.services) == {"Harbour": ["Welcome"]}


async def test_a_call_that_may_be_done_is_named_and_not_repeated(settings: Settings) -> None:
    async with restart_at(settings, TWO_CALLS, adds_scene) as talk:
        events = await talk.say("continue, please")
        assert "nobody knows whether it was done: Add a scene" in texts(events)
        assert last_text(events).text == "Nothing is left of it."
        assert calls(await talk.say("yes")) == []
        assert await scripts(talk.services) == {"Harbour": []}


async def test_it_is_gone_on_with_in_german(settings: Settings) -> None:
    utterance = "Erstelle ein Projekt namens Hafen und füge eine Szene hinzu, in der Nova sagt: Willkommen"
    async with restart_at(settings, utterance, adds_scene) as talk:
        assert "Getan: " in texts(await talk.say("mach weiter"))


async def test_another_sentence_is_answered_and_leaves_the_rest_to_go_on_with(settings: Settings) -> None:
    async with restart_at(settings, TWO_CALLS, adds_scene) as talk:
        assert calls(await talk.say("list my projects")) == ["list_projects"]
        assert "nobody knows" in texts(await talk.say("go on"))


async def test_a_later_change_ends_it(settings: Settings) -> None:
    async with restart_at(settings, TWO_CALLS, adds_scene) as talk:
        await talk.say("Create a project called Tides")
        assert "The server stopped" not in texts(await talk.say("go on"))


async def test_the_hint_of_the_interrupted_answer_says_how(settings: Settings) -> None:
    async with restart_at(settings, TWO_CALLS, adds_scene) as talk:
        assert talk.session_id is not None
        await first_turn(talk)
        past = await talk.services.events.read(f"turn:{talk.session_id}:1")
        [hint] = [event.data["hint"] for event in past if event.kind == "error"]
        assert hint.endswith("“Go on” shows what is left.")


async def test_a_plan_that_ends_or_fails_leaves_nothing(services: Services) -> None:
    talk = Conversing(services, ME)
    assert calls(await talk.say(TWO_CALLS)) == ["edit_project"] * 2
    assert talk.session_id is not None
    assert '"plan":null' in (await services.brain.sessions.dialogue(ME, talk.session_id) or "")
    assert "The server stopped" not in texts(await talk.say("go on"))


async def test_an_answer_that_a_person_cancels_is_not_gone_on_with(services: Services) -> None:
    talk = Conversing(services, ME)
    inner = services.brain.toolset
    await cancel_at(talk, TWO_CALLS, adds_scene)
    services.brain.toolset = inner
    assert not [event for event in await talk.say("go on") if isinstance(event, ToolCalled)]
    assert "The server stopped" not in texts(await talk.say("go on"))


async def test_a_plan_of_a_model_is_gone_on_with(talking: Talking) -> None:
    async with talking(PLAN, Say("Shall I?"), reader=True) as talk:
        await talk.say(UNSURE)
        await die_at(talk, "Ja", adds_scene)
        session_id = talk.session_id
    async with talking(reader=True) as talk:
        talk.session_id = session_id
        events = await talk.say("go on")
        assert "Done: Create a project" in texts(events) and "nobody knows" in texts(events)
        assert "Ahoy there" in last_text(events).text
        assert calls(await talk.say("Ja")) == ["make_render"]
        assert await scripts(talk.services) == {"Harbour": []}
