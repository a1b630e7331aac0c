"""Open streams and sockets end with the key or login that opened them, on a real server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request, Response, WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from policy import Policy, Principal, install_policy, require_permission
from policy.keys.schemas import CreatedKey
from policy.keys.service import KeyService
from policy.sessions import COOKIE
from soundstage.database import Database, utcnow
from soundstage.errors import install_error_handlers
from soundstage.events import EventStore, sse_response

Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
MakeKey = Callable[..., Awaitable[CreatedKey]]
Follower = Annotated[Principal, Depends(require_permission("event:read"))]
WAIT_S = 60
ADMIN = Principal.local_admin()


def an_app(policy: Policy, events: EventStore) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None)
    router = APIRouter(prefix="/api")

    @router.get("/stream")
    async def stream(request: Request, _: Follower) -> Response:
        return sse_response(request, events, "news")

    @router.websocket("/live")
    async def live(line: WebSocket, _: Follower) -> None:
        await line.accept()
        async for event in events.follow("news"):
            await line.send_text(event.kind)

    app.include_router(router)
    install_policy(app, policy, public={"/openapi.json": "a test"})
    install_error_handlers(app)
    return app


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@pytest.fixture
async def address(policy: Policy, events: EventStore) -> AsyncIterator[str]:
    async with served(an_app(policy, events)) as found:
        yield found


class Reading:
    """What one reader of the stream has got so far, and whether the stream has ended."""

    def __init__(self, address: str, headers: dict[str, str]) -> None:
        self._url, self._headers = f"http://{address}/api/stream", headers
        self.kinds: list[str] = []
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._read())

    async def has(self, kind: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while kind not in self.kinds:
                self._news.clear()
                await self._news.wait()

    async def _read(self) -> int:
        async with (
            httpx.AsyncClient(timeout=WAIT_S * 3) as http,
            http.stream("GET", self._url, headers=self._headers) as answer,
        ):
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    self.kinds.append(line.removeprefix("event: "))
                    self._news.set()
            return answer.status_code


async def tell(db: Database, events: EventStore, kind: str) -> None:
    async with db.transaction() as session:
        await events.append(session, "news", kind)


async def end(policy: Policy, key_id: str) -> None:
    async with policy.db.transaction() as session:
        await policy.keys.revoke(session, key_id, ADMIN)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_stream_ends_with_its_key_and_others_go_on(
    address: str, policy: Policy, db: Database, events: EventStore, make_key: MakeKey
) -> None:
    created, other = await make_key("viewer"), await make_key("viewer")
    reader, beside = Reading(address, bearer(created.key)), Reading(address, bearer(other.key))
    await tell(db, events, "before")
    await reader.has("before")
    await beside.has("before")
    await end(policy, created.id)
    await tell(db, events, "after")
    # By itself: nobody has to send anything, and no heartbeat has to come.
    assert await asyncio.wait_for(reader.task, WAIT_S) == 200
    assert reader.kinds == ["before"]
    await beside.has("after")
    beside.task.cancel()


async def test_nothing_goes_out_after_a_key_was_ended_by_another_process(
    address: str, policy: Policy, db: Database, events: EventStore, make_key: MakeKey
) -> None:
    created = await make_key("viewer")
    reader = Reading(address, bearer(created.key))
    await tell(db, events, "before")
    await reader.has("before")
    elsewhere = Database(db.url)
    keys = KeyService(EventStore(elsewhere), (), timedelta(0))
    async with elsewhere.transaction() as session:
        await keys.revoke(session, created.id, ADMIN)
    await asyncio.sleep(0.1)
    await tell(db, events, "after")
    await asyncio.wait_for(reader.task, WAIT_S)
    assert reader.kinds == ["before"]
    await elsewhere.close()


async def test_a_stream_ends_when_its_reader_logs_out(
    address: str, db: Database, events: EventStore, make_key: MakeKey
) -> None:
    created = await make_key("viewer")
    async with httpx.AsyncClient(base_url=f"http://{address}", timeout=WAIT_S) as http:
        cookie = (await http.post("/api/login", json={"key": created.key})).cookies[COOKIE]
        copied = {"Cookie": f"{COOKIE}={cookie}"}
        reader, with_key = Reading(address, copied), Reading(address, bearer(created.key))
        await tell(db, events, "before")
        await reader.has("before")
        await with_key.has("before")
        assert (await http.post("/api/logout", headers=copied)).status_code == 204
        await tell(db, events, "after")
        await asyncio.wait_for(reader.task, WAIT_S)
        assert reader.kinds == ["before"]
        # The key itself goes on.
        await with_key.has("after")
        with_key.task.cancel()


async def test_a_cookie_that_was_copied_opens_nothing_after_its_owner_has_logged_out(
    client: Client, make_key: MakeKey
) -> None:
    created = await make_key("viewer")
    async with client() as http:
        stored = (await http.post("/api/login", json={"key": created.key})).cookies[COOKIE]
        assert (await http.post("/api/logout")).status_code == 204
    for again in range(2):
        async with client() as http:
            http.cookies.set(COOKIE, stored)
            assert (await http.get("/api/me")).status_code == 401
            # Twice is no error.
            assert (await http.post("/api/logout")).status_code == 204, again


async def test_a_stream_ends_when_its_key_expires(
    address: str, policy: Policy, db: Database, events: EventStore, make_key: MakeKey
) -> None:
    created = await make_key("viewer")
    overlap = timedelta(seconds=4)
    async with db.transaction() as session:
        # Rotated, so that it works on for a moment.
        await policy.keys.rotate(session, created.id, ADMIN, overlap)
    ends = utcnow() + overlap
    reader = Reading(address, bearer(created.key))
    await tell(db, events, "before")
    await reader.has("before")
    await asyncio.wait_for(reader.task, WAIT_S)
    assert (utcnow() - ends).total_seconds() < 10, "before the next heartbeat"


async def test_a_silent_socket_ends_with_its_key_after_the_clock_was_set_ahead(
    address: str,
    policy: Policy,
    db: Database,
    events: EventStore,
    make_key: MakeKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("policy.revocation.CLOCK_CHECK_S", 0.05)
    created = await make_key("viewer")
    async with db.transaction() as session:
        await policy.keys.rotate(session, created.id, ADMIN, timedelta(minutes=30))
    async with connect(f"ws://{address}/api/live", additional_headers=bearer(created.key)) as line:
        await tell(db, events, "before")
        assert await asyncio.wait_for(line.recv(), WAIT_S) == "before"

        def set_ahead() -> datetime:
            return utcnow() + timedelta(hours=1)

        for module in ("policy.revocation", "policy.keys.service"):
            monkeypatch.setattr(f"{module}.utcnow", set_ahead)
        with pytest.raises(ConnectionClosedError) as closed:
            await asyncio.wait_for(line.recv(), WAIT_S)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008


async def test_a_socket_ends_with_its_key_and_says_why(
    address: str, policy: Policy, db: Database, events: EventStore, make_key: MakeKey
) -> None:
    created = await make_key("viewer")
    async with connect(f"ws://{address}/api/live", additional_headers=bearer(created.key)) as line:
        await tell(db, events, "before")
        assert await asyncio.wait_for(line.recv(), WAIT_S) == "before"
        await end(policy, created.id)
        await tell(db, events, "after")
        with pytest.raises(ConnectionClosedError) as closed:
            await asyncio.wait_for(line.recv(), WAIT_S)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "auth.bad_key")


async def test_no_watch_of_keys_outlives_the_close(policy: Policy) -> None:
    with policy.changes.subscribe() as changed:
        await asyncio.sleep(0)
    assert not changed.is_set()
    with policy.changes.subscribe():
        await asyncio.sleep(0)
        await policy.close()
        await policy.events.close()
        assert not [task for task in asyncio.all_tasks() if "watch" in task.get_name()]
