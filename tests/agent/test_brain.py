"""The Brain over real services: a sentence becomes a tool call; its outcome is told and remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from avatar.spec import RenderSpec
from brain_answers import answer
from sentences import SentenceSnapshot
from sqlalchemy import update

from agent.events import BrainEvent, Done, Failure, Text, ToolReturned
from app.composition import Services
from policy import Principal
from soundstage.errors import NotFound
from soundstage.telemetry import trace
from studio.renders.models import Render


class Talk:
    """A conversation in a test."""

    def __init__(self, services: Services, principal: Principal) -> None:
        self._services = services
        self._principal = principal
        self.session_id: str | None = None

    async def say(self, sentence: str, **options: bool) -> list[BrainEvent]:
        sessions = self._services.brain.sessions
        conversation = await sessions.open(self._principal, self.session_id, **options)
        self.session_id = conversation.id
        return await answer(self._services.brain, conversation, sentence)


@pytest.fixture
def talk(services: Services) -> Talk:
    return Talk(services, Principal.local_admin("test"))


def kinds(events: Sequence[BrainEvent]) -> list[str]:
    return [event.type for event in events]


def failure(events: Sequence[BrainEvent]) -> Failure:
    return next(event for event in events if isinstance(event, Failure))


def result(events: Sequence[BrainEvent]) -> dict[str, Any]:
    return next(event for event in events if isinstance(event, ToolReturned)).result


async def spec_of(services: Services, render_id: str) -> RenderSpec:
    spec = (await services.studio.renders.detail(render_id)).spec
    assert isinstance(spec, RenderSpec)
    return spec


async def test_a_sentence_queues_a_render_with_the_script_as_it_was_typed(
    services: Services, talk: Talk
) -> None:
    script = 'She said: "Hello, World"… 🎬\nAnd left, in 360p.'
    events = await talk.say(f"Make a video where Nova says: {script}")
    assert kinds(events) == ["turn", "understood", "tool_call", "tool_result", "text", "done"]
    spec = await spec_of(services, result(events)["render_id"])
    assert [scene.script for scene in spec.scenes] == [script]
    assert (spec.canvas.width, spec.canvas.height, spec.canvas.fps) == (1920, 1080, 25)


async def test_options_of_the_sentence_reach_the_spec(services: Services, talk: Talk) -> None:
    sentence = (
        "Make a 720p vertical video called Hi with burned captions on a navy background where Nova says: x y"
    )
    spec = await spec_of(services, result(await talk.say(sentence))["render_id"])
    assert (spec.title, spec.canvas.width, spec.canvas.height) == ("Hi", 720, 1280)
    assert spec.output.captions.mode == "burned"
    assert spec.scenes[0].background.model_dump()["colour"] == "#000080"


async def test_a_script_of_100_000_characters_arrives_whole(services: Services, talk: Talk) -> None:
    script = ("Words, and more words. " * 5000)[:100_000].strip()
    events = await talk.say(f"Make a video where Nova says: {script}")
    spec = await spec_of(services, result(events)["render_id"])
    spoken = " ".join(scene.script or "" for scene in spec.scenes)
    assert "".join(spoken.split()) == "".join(script.split())
    assert max(len(event.model_dump_json()) for event in events) < 2000


async def test_a_command_inside_a_script_cancels_nothing(services: Services, talk: Talk) -> None:
    first = result(await talk.say("Make a video where Nova says: one"))["render_id"]
    await talk.say("Make a video where Nova says: cancel it. Cancel the last video!")
    assert (await services.studio.renders.get(first)).state == "queued"


async def test_it_means_the_last_video_of_the_same_session(services: Services, talk: Talk) -> None:
    mine = result(await talk.say("Make a video where Nova says: one"))["render_id"]
    other = result(await Talk(services, Principal.local_admin("test")).say("Say: two"))["render_id"]
    assert result(await talk.say("Cancel it"))["render_id"] == mine
    assert (await services.studio.renders.get(mine)).state == "cancelled"
    assert (await services.studio.renders.get(other)).state == "queued"


async def finish(services: Services, render_id: str) -> None:
    """What the dispatcher does to a render that is made."""
    async with services.database.transaction() as session:
        await session.execute(
            update(Render).where(Render.id == render_id).values(state="done", duration_ms=900)
        )


async def test_the_last_video_is_the_last_finished_one_and_what_is_being_made_is_told(
    services: Services, talk: Talk, snapshot: SentenceSnapshot
) -> None:
    done = result(await talk.say("Have Nova say: one"))["render_id"]
    await finish(services, done)
    going_on = result(await talk.say("Have Nova say: two"))["render_id"]
    events = await talk.say("Show the last video")
    assert result(events)["render_id"] == done
    [text] = [event.text for event in events if isinstance(event, Text)]
    first, *_, last = text.splitlines()
    assert first == snapshot("last_video", id=done)
    assert last == snapshot("newer_video", id=going_on)
    assert result(await talk.say("Show it"))["render_id"] == done, "what was shown is what is talked about"


async def test_while_no_video_is_finished_the_one_that_is_being_made_is_shown(
    services: Services, talk: Talk
) -> None:
    going_on = result(await talk.say("Have Nova say: one"))["render_id"]
    assert result(await talk.say("Show the last video"))["render_id"] == going_on


async def test_an_emoji_is_something_to_say(services: Services, talk: Talk) -> None:
    spec = await spec_of(services, result(await talk.say("Have Nova say: 😀"))["render_id"])
    assert [scene.script for scene in spec.scenes] == ["😀"]


async def test_without_any_video_it_is_told_so(talk: Talk) -> None:
    assert failure(await talk.say("cancel it")).code == "render.none_yet"


@pytest.mark.parametrize(
    "sentence, code, part",
    [
        ("Make a video where Walburga says: hi", "persona.not_found", "There are: Nova."),
        ("Make a video where Nova says: …!", "tool.bad_arguments", "word for word"),
        ("Make a video on a blurple background where Nova says: hi", "tool.bad_arguments", "colour"),
        ("Show the video rnd_nonesuch", "render.not_found", ""),
        ("gibberish gnarf quux flurble", "agent.not_understood", "help"),
    ],
)
async def test_what_cannot_be_done_is_an_error_with_a_hint(
    talk: Talk, sentence: str, code: str, part: str
) -> None:
    events = await talk.say(sentence)
    found = failure(events)
    assert found.code == code
    assert part in found.hint
    assert found.message
    assert isinstance(events[-1], Done)


async def test_an_answer_is_remembered_with_its_tool_and_outcome(services: Services, talk: Talk) -> None:
    await talk.say("Make a video where Nova says: one")
    await talk.say("gibberish gnarf")
    turns = await services.brain.sessions.turns(Principal.local_admin("test"), talk.session_id or "")
    assert [(turn.number, turn.tool, turn.error_code) for turn in turns] == [
        (1, "make_render", None),
        (2, None, "agent.not_understood"),
    ]
    assert all(turn.finished_at is not None and turn.reply for turn in turns)


async def test_a_session_of_somebody_else_does_not_exist(services: Services, talk: Talk) -> None:
    await talk.say("help")
    stranger = Principal(id="key_x", name="x", role="admin", kind="key")
    with pytest.raises(NotFound, match="no session"):
        await services.brain.sessions.open(stranger, talk.session_id)


async def test_a_viewer_may_look_and_make_nothing(services: Services) -> None:
    viewer = Talk(services, Principal(id="key_v", name="v", role="viewer", kind="key"))
    assert failure(await viewer.say("Make a video where Nova says: hi")).code == "policy.forbidden"
    assert "tool_result" in kinds(await viewer.say("list my videos"))


async def test_every_call_leaves_an_audit_event_without_the_script(services: Services, talk: Talk) -> None:
    await talk.say("Make a video where Nova says: my secret words")
    viewer = Talk(services, Principal(id="key_v", name="v", role="viewer", kind="key"))
    await viewer.say("Say: refused words")
    found = [event for event in await services.events.read() if event.kind == "tool.called"]
    assert [(event.data["tool"], event.data["outcome"]) for event in found] == [
        ("make_render", "ok"),
        ("make_render", "policy.forbidden"),
    ]
    assert "words" not in str([event.data for event in found])


async def test_one_trace_runs_from_the_sentence_to_the_render(services: Services, talk: Talk) -> None:
    with trace() as current:
        render_id = result(await talk.say("Say: one"))["render_id"]
    assert (await services.studio.renders.get(render_id)).trace_id == current
    [turn] = await services.brain.sessions.turns(Principal.local_admin("test"), talk.session_id or "")
    assert turn.trace_id == current
    assert {event.trace_id for event in await services.events.read()} == {current}


async def test_several_sessions_talk_at_once(services: Services) -> None:
    talks = [Talk(services, Principal.local_admin(f"t{number}")) for number in range(6)]
    answers = await asyncio.gather(*(t.say(f"Say: number {n} speaks") for n, t in enumerate(talks)))
    for number, events in enumerate(answers):
        spec = await spec_of(services, result(events)["render_id"])
        assert spec.scenes[0].script == f"number {number} speaks"


async def test_help_with_everything_lists_every_tool_with_an_example(services: Services, talk: Talk) -> None:
    text = next(event.text for event in await talk.say("help with everything") if isinstance(event, Text))
    for entry in services.brain.grammar.help:
        if entry.tool:
            assert entry.purpose in text
            assert entry.examples[0] in text
    assert text.index("Make a video") < text.index("List the videos") < text.index("Who can speak?")


async def test_a_persona_from_a_photo_needs_consent_before_anything_is_read(talk: Talk) -> None:
    events = await talk.say("Create a persona called Ada from photo ada.jpg", local_files=True)
    assert failure(events).code == "consent.required"


async def test_a_path_on_the_server_is_refused_from_afar_and_missing_ones_are_told(talk: Talk) -> None:
    sentence = "Create a persona called Ada from photo ./ada.jpg with the consent of Ada Byron for demos"
    assert failure(await talk.say(sentence)).code == "persona.path_not_allowed"
    assert failure(await talk.say(sentence, local_files=True)).code == "photo.not_found"
