"""Chat over a real WebSocket: many answers on one connection, bad messages, and clients that go away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from local_login import KEY
from scripted_model import Say, Script
from socket_servers import WAIT_S, connect, listening
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from agent.socket import MAX_STREAMS
from app.composition import Services
from policy import Principal
from policy.keys.schemas import KeyRequest
from policy.sessions import COOKIE
from soundstage.settings import Settings


@asynccontextmanager
async def chatting(settings: Settings, *script: Script) -> AsyncIterator[tuple[str, Services]]:
    """The URL of the chat's socket."""
    async with listening(settings, *script) as (url, services):
        yield f"{url}/api/chat/ws", services


async def send(connection: ClientConnection, **wish: Any) -> None:
    await connection.send(json.dumps(wish))


async def until(connection: ClientConnection, kind: str, ref: str | None = None) -> list[dict[str, Any]]:
    """The events of one `ref` up to the first of that kind."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(WAIT_S):
        while True:
            message = json.loads(await connection.recv())
            if message["ref"] == ref:
                found.append(message["event"])
                if message["event"]["type"] == kind:
                    return found


def kinds(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


async def test_a_dry_run_is_of_one_sentence_and_not_of_the_connection(settings: Settings) -> None:
    async with chatting(settings) as (url, services), connect(url) as connection:
        await send(connection, type="say", ref="a", message="Have Nova say: Hello", dry_run=True)
        assert "nothing has" in (await until(connection, "text", "a"))[-1]["text"]
        session_id = (await until(connection, "done", "a"))[-1]["session_id"]
        assert await services.studio.renders.list() == []
        await send(connection, type="say", ref="b", message="Have Nova say: Hello", session_id=session_id)
        await until(connection, "done", "b")
        assert len(await services.studio.renders.list()) == 1


async def test_two_sentences_at_once_are_answered_each_under_its_ref(settings: Settings) -> None:
    hold = asyncio.Event()
    async with chatting(settings, Say("one two", hold=hold)) as (url, _), connect(url) as connection:
        await send(connection, type="say", ref="a", message="count for me, would you")
        await until(connection, "text_part", "a")
        await send(connection, type="say", ref="b", message="list my videos")
        assert kinds(await until(connection, "done", "b"))[-2:] == ["text", "done"]
        hold.set()
        assert kinds(await until(connection, "done", "a"))[-2:] == ["text", "done"]


async def test_an_answer_is_cancelled_on_the_socket(settings: Settings) -> None:
    held = Say("one two", hold=asyncio.Event())
    async with chatting(settings, held) as (url, _), connect(url) as connection:
        await send(connection, type="say", message="count for me, would you")
        [began, *_] = await until(connection, "text_part")
        await send(connection, type="cancel", ref="c", session_id=began["session_id"], turn=1)
        assert (await until(connection, "done"))[-2]["code"] == "agent.cancelled"


async def test_an_answer_can_be_cancelled_however_many_are_being_told(settings: Settings) -> None:
    held = Say("one two", hold=asyncio.Event())
    async with chatting(settings, held) as (url, _), connect(url) as connection:
        await send(connection, type="say", message="count for me, would you")
        [began, *_] = await until(connection, "text_part")
        turn = {"session_id": began["session_id"], "turn": 1}
        for number in range(MAX_STREAMS):
            await send(connection, type="read", ref=str(number), **turn)
        assert (await until(connection, "error", str(MAX_STREAMS - 1)))[0]["code"] == "chat.too_many_at_once"
        await send(connection, type="cancel", ref="c", **turn)
        assert (await until(connection, "done"))[-2]["code"] == "agent.cancelled"


async def test_a_client_that_went_away_reads_the_rest_on_a_new_connection(settings: Settings) -> None:
    hold = asyncio.Event()
    async with chatting(settings, Say("one two", hold=hold)) as (url, _):
        async with connect(url) as connection:
            await send(connection, type="say", message="count for me, would you")
            [began, *_] = await until(connection, "text_part")
        hold.set()
        async with connect(url) as connection:
            await send(connection, type="read", session_id=began["session_id"], turn=began["turn"])
            events = await until(connection, "done")
    assert events[0] == began
    assert [event["text"] for event in events if event["type"] == "text"] == ["one two"]


BAD_MESSAGES = (
    ("no json", "chat.bad_message"),
    ("[]", "chat.bad_message"),
    ('{"type": "fly"}', "chat.bad_message"),
    ('{"type": "say", "message": ""}', "chat.bad_message"),
    ('{"type": "say", "message": "hi", "principal": "admin"}', "chat.bad_message"),
    ('{"type": "say", "message": "hi", "session_id": "ses_none"}', "session.not_found"),
    ('{"type": "read", "session_id": "ses_none", "turn": 1}', "session.not_found"),
    ('{"type": "cancel", "session_id": "ses_none", "turn": 1}', "session.not_found"),
    (b"\x00\xff", "chat.not_text"),
    ("x" * 500_000, "chat.too_long"),
    ('{"type": "say", "message": "\\ud800"}', "chat.bad_message"),
)


async def test_bad_messages_are_told_and_the_conversation_goes_on(settings: Settings) -> None:
    async with chatting(settings, Say("x")) as (url, _), connect(url) as connection:
        for message, code in BAD_MESSAGES:
            await connection.send(message)
            assert (await until(connection, "error"))[0]["code"] == code, message[:60]
            await send(connection, type="say", message="help")
            assert kinds(await until(connection, "done"))[-1] == "done", message[:60]


async def test_another_tenant_finds_neither_the_talk_nor_the_videos_of_the_first(settings: Settings) -> None:
    async with chatting(settings) as (url, services):
        headers = []
        for tenant in ("acme", "rival"):
            async with services.database.transaction() as session:
                expected = KeyRequest(name=tenant, role="admin", tenant=tenant)
                created = await services.policy.keys.create(session, expected, Principal.local_admin("test"))
            headers.append({"Authorization": f"Bearer {created.key}"})
        async with (
            connect(url, additional_headers=headers[0]) as acme,
            connect(url, additional_headers=headers[1]) as rival,
        ):
            await send(acme, type="say", message="Make a video in 360p where Nova says: The sea is ours.")
            turn = (await until(acme, "done"))[-1]
            place = {"session_id": turn["session_id"], "turn": turn["turn"]}
            for request in ({"type": "read", **place}, {"type": "cancel", **place}):
                await send(rival, ref="r", **request)
                assert (await until(rival, "error", "r"))[-1]["code"] == "session.not_found"
            await send(rival, type="say", ref="r", message="list my videos", session_id=place["session_id"])
            assert (await until(rival, "error", "r"))[-1]["code"] == "session.not_found"
            for who, there in ((rival, False), (acme, True)):
                await send(who, type="say", ref="l", message="list my videos")
                assert ("The sea is ours" in json.dumps(await until(who, "done", "l"))) is there


async def test_a_key_that_has_ended_says_nothing_more_on_a_socket_that_is_open(settings: Settings) -> None:
    async with chatting(settings, Say("x")) as (url, services):
        policy, admin = services.policy, Principal.local_admin()
        async with services.database.transaction() as session:
            created = await policy.keys.create(session, KeyRequest(name="page", role="editor"), admin)
        headers = {"Authorization": f"Bearer {created.key}"}
        async with connect(url, additional_headers=headers) as connection:
            await send(connection, type="say", message="help")
            await until(connection, "done")
            async with services.database.transaction() as session:
                await policy.keys.revoke(session, created.id, admin)
            with pytest.raises(ConnectionClosedError) as closed:
                await send(connection, type="say", ref="late", message="help")
                await until(connection, "done", "late")
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "auth.bad_key")


async def test_a_page_of_somebody_else_gets_no_connection(settings: Settings) -> None:
    async with chatting(settings, Say("x")) as (url, services):
        async with services.database.session() as session:
            known = await services.policy.keys.identify(session, KEY)
        assert known is not None
        cookie = {"Cookie": f"{COOKIE}={services.policy.sessions.sign(known.key_id)}"}
        async with connect(url, additional_headers=cookie):
            pass
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, additional_headers=cookie, origin="https://elsewhere.example"):
                pass
    assert refused.value.response.status_code == 403
