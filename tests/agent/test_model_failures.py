"""A language model that errs, breaks off, is slow, busy or away: a scripted server over real HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from model_talk import QUESTION, Talk, Talking, notices, renders, texts
from scripted_model import (
    Endless,
    Raw,
    Say,
    Script,
    Silence,
    Status,
    scripted_model,
)

from agent.events import (
    BrainEvent,
    Failure,
    TextPart,
)
from agent.experts import ConfiguredModels
from agent.model import OpenAiServer
from policy import Principal
from soundstage.errors import SoundstageError, Unavailable
from soundstage.http import own_listeners
from soundstage.settings import Settings


@pytest.mark.parametrize(
    "line, code",
    [
        (Status(500), "model.refused"),
        (Status(401), "model.refused"),
        (Status(404, body="<html>"), "model.refused"),
        (Status(429), "model.busy"),
        (Status(429, {"Retry-After": "3000"}), "model.busy"),
        (Status(429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), "model.busy"),
        (Status(200, {"Content-Type": "text/html"}, "<html>hello</html>"), "model.nonsense"),
        (Raw(b"data: {not json\n\n"), "model.nonsense"),
        (Raw(b'data: {"error": {"message": "out of memory"}}\n\n'), "model.refused"),
        (Raw(b'data: {"choices": [{"delta": {"content": "\\ud83d"}}]}\n\n'), "model.nonsense"),
        (Raw(b'data: {"choices": [{"delta": {"content": 7}}]}\n\n'), "model.nonsense"),
        (Raw(b"\xff\xfe\x00 binary"), "model.cut_off"),
        (Raw(b""), "model.cut_off"),
        (Raw(b"not packed", "text/event-stream\r\nContent-Encoding: gzip"), "model.cut_off"),
        (Raw(b"data: " + b"x" * (5 << 20)), "model.too_long"),
        (Say(""), "model.silent"),
        (Silence(), "model.slow"),
    ],
)
async def test_when_the_model_fails_one_sentence_says_so_and_the_grammar_answers(
    talking: Talking, line: Script, code: str
) -> None:
    timeout_s = 1.0 if code == "model.slow" else 60.0
    async with talking(line, local={"timeout_s": timeout_s}, reader=False) as talk:
        events = await talk.say("lst my vidoes")
    assert notices(events) == [code]
    failure = next(event for event in events if isinstance(event, Failure))
    assert "List my videos" in failure.suggestions


async def test_a_model_whose_address_is_none_cannot_be_reached() -> None:
    # As Consul may name one; addresses in the settings are checked when they are read.
    with pytest.raises(Unavailable) as error:
        async for _ in OpenAiServer("x", "http://[::1:80/v1", "x").ask([], [], max_tokens=1):
            pass
    assert error.value.code == "model.unreachable"


async def test_a_model_that_cannot_be_reached_is_said_too(talking: Talking) -> None:
    async with talking(Say("hi"), local={"base_url": "http://127.0.0.1:9/v1"}) as talk:
        assert notices(await talk.say(QUESTION)) == ["model.unreachable"]


async def test_an_answer_that_breaks_off_stands_as_far_as_it_came(talking: Talking) -> None:
    async with talking(Say("It is going very well", cut=3)) as talk:
        events = await talk.say(QUESTION)
        [turn] = await talk.services.brain.sessions.turns(talk.principal, talk.session_id or "")
    assert notices(events) == ["model.cut_off"]
    assert not any(isinstance(event, Failure) for event in events)
    assert "It is going" in turn.reply


async def test_half_a_tool_call_is_never_made(talking: Talking) -> None:
    half = (
        b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": '
        b'{"name": "make_render", "arguments": "{\\"script\\": \\"hi\\"}"}}]}}]}\n\n'
    )
    async with talking(Raw(half)) as talk:
        events = await talk.say("make me some sort of video, anything, whatever you like")
        assert await renders(talk) == []
    assert notices(events) == ["model.cut_off"]


async def test_an_endless_answer_is_read_up_to_a_limit(talking: Talking) -> None:
    async with talking(Endless()) as talk:
        events = await talk.say(QUESTION)
    assert notices(events) == ["model.too_long"]


async def test_a_busy_model_is_asked_again_after_the_time_it_named(talking: Talking) -> None:
    async with talking(Status(429, {"Retry-After": "1"}), Say("Now I can.")) as talk:
        assert texts(await talk.say(QUESTION)) == ["Now I can."]
        assert len(talk.model.asked) == 2


async def test_a_turn_may_take_so_many_seconds_and_no_more(talking: Talking) -> None:
    async with talking(Say("slowly " * 500, pause_s=0.05), agent={"turn_s": 1.5}) as talk:
        assert notices(await talk.say(QUESTION)) == ["model.over_budget"]


async def test_the_other_model_takes_over_from_one_that_fails(talking: Talking) -> None:
    async with scripted_model(Say("The cloud says hello.")) as other:
        cloud = {"base_url": other.base_url, "model": "big"}
        async with talking(Status(500), cloud=cloud) as talk:
            events = await talk.say(QUESTION)
        assert other.asked[0]["model"] == "big"
    assert texts(events) == ["The cloud says hello."]
    assert notices(events) == []


async def test_a_person_who_cancels_ends_the_call_to_the_model(talking: Talking) -> None:
    begun = asyncio.Event()
    async with talking(Say("one two three", hold=asyncio.Event())) as talk:
        conversation = await talk.services.brain.sessions.open(talk.principal)

        async def listen(event: BrainEvent) -> None:
            if isinstance(event, TextPart):
                begun.set()

        listening = asyncio.create_task(talk.services.brain.answer(conversation, QUESTION, listen))
        await asyncio.wait_for(begun.wait(), 60)
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        [turn] = await talk.services.brain.sessions.turns(talk.principal, conversation.id)
    assert turn.state == "cancelled"
    assert turn.reply.startswith("one")


async def test_many_people_talk_to_the_model_at_once_and_get_their_own_answers(talking: Talking) -> None:
    def repeat(body: dict[str, Any]) -> Say:
        words, _, _ = body["messages"][-1]["content"].partition("\n\n<notes ")
        return Say(f"You said {words[-1]}")

    async with talking(repeat) as talk:
        talks = [Talk(talk.services, talk.model, Principal.local_admin(f"p{n}")) for n in range(8)]
        sayings = (one.say(f"something about number {n}") for n, one in enumerate(talks))
        answers = await asyncio.gather(*sayings)
    assert [texts(events) for events in answers] == [[f"You said {n}"] for n in range(8)]


async def test_a_model_whose_address_is_a_listener_of_ours_is_not_asked() -> None:
    """The operator's own mistake: a model on the port that the studio has taken."""
    settings = Settings.model_validate({"llm": {"local": {"base_url": "http://127.0.0.1:8000/v1"}}})
    (found,) = await ConfiguredModels(settings.llm, own_listeners(settings)).candidates()
    with pytest.raises(SoundstageError) as error:
        async for _ in found.model.ask([], [], max_tokens=1):
            pass
    assert error.value.code == "outgoing.own_listener"
