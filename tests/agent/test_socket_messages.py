"""What no client of good will sends to the sockets: each frame gets a typed answer, the line stays open."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pytest
from pydantic import ValidationError
from scripted_model import Say
from socket_servers import WAIT_S, connect, listening
from strange_messages import frames
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError

from agent.live.routes import MAX_MESSAGE_CHARS
from agent.live.schemas import ListenerState
from agent.socket import MAX_STREAMS
from policy import Principal
from soundstage.settings import Settings

EVENTS = {
    "turn", "understood", "tool_call", "tool_result", "tool_error", "confirm", "approval", "progress",
    "text_part", "notice", "text", "error", "done",
}  # fmt: skip


def groups(dice: random.Random, made: Iterator[str | bytes]) -> Iterator[Sequence[str | bytes]]:
    """Up to sixteen that are sent without waiting for an answer."""
    while group := tuple(islice(made, dice.randrange(1, MAX_STREAMS + 1))):
        yield group


async def helped(connection: ClientConnection, ref: str) -> list[dict[str, Any]]:
    """Asks for help until it is given; everything that came on the way."""
    found: list[dict[str, Any]] = []
    await connection.send(json.dumps({"type": "say", "ref": ref, "message": "help"}))
    async with asyncio.timeout(WAIT_S):
        while True:
            found.append(json.loads(await connection.recv()))
            event = found[-1]["event"]
            if found[-1]["ref"] != ref:
                continue
            if event["type"] == "done":
                return found
            if event["type"] == "error":
                assert event["code"] == "chat.too_many_at_once", event
                await asyncio.sleep(0.05)
                await connection.send(json.dumps({"type": "say", "ref": ref, "message": "help"}))


def check(told: dict[str, Any]) -> None:
    """An error has a code of ours, a sentence and a hint, and is no fault."""
    event = told["event"]
    assert event["type"] in EVENTS, told
    if event["type"] in ("error", "tool_error"):
        assert event["message"] and event["hint"], told
        assert not event["code"].startswith("internal."), told


@pytest.mark.parametrize("seed", range(2))
async def test_no_message_ends_the_chat_or_is_answered_with_a_fault(settings: Settings, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - nothing secret
    codes: set[str] = set()
    unread = 0
    async with (
        listening(settings, Say("x")) as (url, _),
        connect(f"{url}/api/chat/ws", max_size=None, max_queue=None) as connection,
    ):
        for number, group in enumerate(groups(dice, frames(dice))):
            for frame in group:
                await connection.send(frame)
            output = await helped(connection, f"fence {number}")
            for one in output:
                check(one)
            errors = [one["event"]["code"] for one in output if one["event"]["type"] == "error"]
            codes.update(errors)
            unread += sum(code in ("chat.not_text", "chat.bad_message", "chat.too_long") for code in errors)
            assert sum(isinstance(frame, bytes) for frame in group) == errors.count("chat.not_text")

    assert {"chat.not_text", "chat.bad_message", "chat.too_long", "session.not_found"} <= codes
    assert unread > 100, "most of them are nonsense, and each is told so"


async def test_of_many_sentences_at_once_each_is_answered_or_refused(settings: Settings) -> None:
    refs = [f"n{number}" for number in range(MAX_STREAMS * 3)]
    ended: dict[str, str] = {}
    async with (
        listening(settings, Say("x")) as (url, _),
        connect(f"{url}/api/chat/ws", max_queue=None) as connection,
    ):
        for ref in refs:
            await connection.send(json.dumps({"type": "say", "ref": ref, "message": "list my videos"}))
        async with asyncio.timeout(WAIT_S):
            while len(ended) < len(refs):
                output = json.loads(await connection.recv())
                check(output)
                if output["event"]["type"] in ("done", "error"):
                    ended[output["ref"]] = output["event"].get("code", "done")
        await helped(connection, "after")

    assert set(ended.values()) == {"done", "chat.too_many_at_once"}
    assert list(ended.values()).count("done") >= MAX_STREAMS


async def test_a_frame_of_many_megabytes_ends_its_own_line_alone(settings: Settings) -> None:
    async with listening(settings, Say("x")) as (url, _), connect(f"{url}/api/chat/ws") as other:
        for frame in ("x" * (17 << 20), b"x" * (17 << 20)):
            with pytest.raises(ConnectionClosedError) as closed:
                async with connect(f"{url}/api/chat/ws") as connection:
                    await connection.send(frame)
                    await asyncio.wait_for(connection.recv(), WAIT_S)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        await helped(other, "other")


@pytest.mark.parametrize("seed", range(2))
async def test_no_message_ends_a_live_session_or_is_answered_with_a_fault(
    settings: Settings, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - nothing secret
    async with listening(settings, Say("x")) as (url, services):
        session_id, _ = await services.live.open(Principal.local_admin(), "nova")
        async with connect(f"{url}/api/session/{session_id}/events", max_queue=None) as page:
            assert json.loads(await page.recv())["state"] == "idle"
            for group in groups(dice, frames(dice)):
                nonsense = [frame for frame in group if not _understood(frame)]
                for frame in nonsense:
                    await page.send(frame)
                for _ in nonsense:
                    event = json.loads(await asyncio.wait_for(page.recv(), WAIT_S))
                    assert (event["type"], event["code"]) == ("error", "session.bad_message")
                    assert event["message"] and event["hint"]
            await page.send('{"type": "listening"}')
            assert json.loads(await asyncio.wait_for(page.recv(), WAIT_S))["state"] == "listening"
        async with connect(f"{url}/api/chat/ws", max_queue=None) as chat:
            await helped(chat, "after")


def _understood(frame: str | bytes) -> bool:
    if isinstance(frame, bytes) or len(frame) > MAX_MESSAGE_CHARS:
        return False
    try:
        ListenerState.model_validate_json(frame)
    except ValidationError:
        return False
    return True
