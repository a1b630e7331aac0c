from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from sse_starlette import EventSourceResponse

from soundstage.database import Database
from soundstage.errors import install_error_handlers
from soundstage.events import EventStore, sse_response


@dataclass
class Message:
    id: str
    event: str
    data: dict[str, object]


def an_app(events: EventStore) -> FastAPI:
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/events")
    async def all_events(request: Request) -> EventSourceResponse:
        return sse_response(request, events, heartbeat_s=0.2)

    @app.get("/renders/{render_id}/events")
    async def events_of_one(render_id: str, request: Request) -> EventSourceResponse:
        return sse_response(
            request, events, f"render:{render_id}", until=lambda event: event.kind == "render.done"
        )

    return app


@asynccontextmanager
async def served(app: FastAPI, grace_s: int = 2) -> AsyncIterator[str]:
    """The application on a real server; a test client would collect the whole answer, which never ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=grace_s))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await running


@pytest.fixture
async def url(events: EventStore) -> AsyncIterator[str]:
    async with served(an_app(events)) as base:
        yield base


async def messages(lines: AsyncIterator[str]) -> AsyncIterator[Message]:
    fields: dict[str, str] = {}
    async for line in lines:
        if not line and "data" in fields:
            yield Message(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


async def take(url: str, count: int, **headers: str) -> list[Message]:
    found: list[Message] = []
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(timeout=60) as http, http.stream("GET", url, headers=named) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for message in messages(answer.aiter_lines()):
            found.append(message)
            if len(found) == count:
                break
    return found


async def append(db: Database, events: EventStore, stream: str, *kinds: str) -> None:
    for kind in kinds:
        async with db.transaction() as session:
            await events.append(session, stream, kind, {"text": "zwei\nZeilen 😀"})


async def test_a_message_carries_id_kind_and_the_whole_event(
    db: Database, events: EventStore, url: str
) -> None:
    await append(db, events, "render:1", "render.queued")
    (message,) = await take(f"{url}/events", 1)
    (event,) = await events.read()
    assert (message.id, message.event) == ("1", "render.queued")
    assert message.data == event.model_dump(mode="json")
    assert message.data["data"] == {"text": "zwei\nZeilen 😀"}


async def test_new_events_arrive_while_the_answer_is_open(db: Database, events: EventStore, url: str) -> None:
    reading = asyncio.create_task(take(f"{url}/events", 3))
    for kind in ("one", "two", "three"):
        await asyncio.sleep(0.05)
        await append(db, events, "s", kind)
    assert [message.event for message in await asyncio.wait_for(reading, 60)] == ["one", "two", "three"]


async def test_a_reader_resumes_after_the_last_id_it_saw(db: Database, events: EventStore, url: str) -> None:
    await append(db, events, "s", *"abcde")
    assert [m.event for m in await take(f"{url}/events", 2, last_event_id="3")] == ["d", "e"]
    assert [m.event for m in await take(f"{url}/events?last_event_id=3", 2)] == ["d", "e"]
    # The header is sent by a browser that comes back to the page's old address, so it is newer.
    assert [m.event for m in await take(f"{url}/events?last_event_id=1", 1, last_event_id="4")] == ["e"]
    assert [m.event for m in await take(f"{url}/events", 1, last_event_id="")] == ["a"]


async def test_resuming_again_and_again_gives_everything_once(
    db: Database, events: EventStore, url: str
) -> None:
    async def write() -> None:
        for number in range(20):
            await append(db, events, "s", f"k{number}")

    writing = asyncio.create_task(write())
    seen: list[Message] = []
    while len(seen) < 20:
        resumed = {"last_event_id": seen[-1].id} if seen else {}
        seen += await asyncio.wait_for(
            take(f"{url}/events", min(1 + len(seen) % 7, 20 - len(seen)), **resumed), 30
        )
    await writing
    assert [message.event for message in seen[:20]] == [f"k{number}" for number in range(20)]


@pytest.mark.parametrize("event_id", ["x", "-1", "1.5", "9" * 30, "٣"])
async def test_a_last_event_id_that_is_none_is_the_callers_error(url: str, event_id: str) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.get(f"{url}/events", params={"last_event_id": event_id})
    assert (answer.status_code, answer.json()["code"]) == (422, "events.bad_last_event_id")


async def test_an_answer_ends_by_itself_after_the_last_event_of_its_thing(
    db: Database, events: EventStore, url: str
) -> None:
    await append(db, events, "render:7", "render.running", "render.done")
    await append(db, events, "render:8", "render.running")
    async with httpx.AsyncClient(timeout=60) as http:
        text = (await http.get(f"{url}/renders/7/events")).text
    assert [line for line in text.splitlines() if line.startswith("event:")] == [
        "event: render.running",
        "event: render.done",
    ]


async def test_a_browser_that_comes_back_after_the_end_is_told_not_to_come_again(
    db: Database, events: EventStore, url: str
) -> None:
    await append(db, events, "render:7", "render.running", "render.done")
    async with httpx.AsyncClient(timeout=60) as http:
        answer = await http.get(f"{url}/renders/7/events", headers={"Last-Event-ID": "2"})
        assert (answer.status_code, answer.content) == (204, b"")
        # An id from another stream is no end of this one.
        await append(db, events, "render:8", "render.done")
        for seen in ("1", "0"):
            resumed = await http.get(f"{url}/renders/7/events", headers={"Last-Event-ID": seen})
            assert (resumed.status_code, resumed.text.count("render.done")) == (200, 2)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(take(f"{url}/renders/7/events", 1, last_event_id="3"), 0.5)


async def test_silence_is_broken_by_a_heartbeat(url: str) -> None:
    async with httpx.AsyncClient(timeout=60) as http, http.stream("GET", f"{url}/events") as answer:
        async for line in answer.aiter_lines():
            if line.startswith(":"):
                break
    assert line.startswith(": ping")


async def test_a_reader_who_goes_away_stops_the_polling(events: EventStore, url: str) -> None:
    async with httpx.AsyncClient(timeout=60) as http, http.stream("GET", f"{url}/events") as answer:
        await anext(answer.aiter_lines())
        assert events._followers.count
    for _ in range(3000):
        if not events._followers.count:
            return
        await asyncio.sleep(0.02)
    pytest.fail("the follower of a closed connection lives on")


async def test_a_server_that_stops_does_not_wait_for_open_streams(events: EventStore) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        async with served(an_app(events), grace_s=60) as base:
            request = http.build_request("GET", f"{base}/events")
            answer = await http.send(request, stream=True)
            await anext(answer.aiter_lines())
            start = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - start < 30
        await answer.aclose()
