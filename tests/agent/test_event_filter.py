"""Events are followed and searched by kind, stream and words; each reader gets each of their own once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from table_templates import CreateTables

from agent.event_stream import EventReader, event_router, recent_events
from policy.principal import Principal
from soundstage.database import Database
from soundstage.errors import Invalid, install_error_handlers
from soundstage.events import EventFilter, EventStore

pytestmark = pytest.mark.each_database


@pytest.fixture
async def db(database_url: str, create_tables: CreateTables) -> AsyncIterator[Database]:
    database_copy = Database(database_url)
    await create_tables(database_copy)
    yield database_copy
    await database_copy.close()


@pytest.fixture
def events(db: Database) -> EventStore:
    return EventStore(db, poll_s=0.05)


async def tell(events: EventStore, db: Database, stream: str, *kinds: str, **data: Any) -> None:
    async with db.transaction() as session:
        await events.append_all(session, stream, [(kind, data) for kind in kinds])


def ids(found: list[Any]) -> list[int]:
    return [event.id for event in found]


async def test_kinds_and_streams_are_named_by_beginning_or_left_out(events: EventStore, db: Database) -> None:
    await tell(events, db, "render:a", "render.state", "render.progress")
    await tell(events, db, "renders", "render.state")
    await tell(events, db, "approvals", "approval.asked")
    await tell(events, db, "render:b", "render.progress")

    async def found(kinds: str = "", streams: str = "") -> list[int]:
        return ids(await events.read(event_filter=EventFilter.parse([kinds], [streams])))

    assert await found() == [1, 2, 3, 4, 5]
    assert await found("render.state") == [1, 3]
    assert await found("-render.progress") == [1, 3, 4]
    assert await found("render.*,approval.*", "-render:a") == [3, 4, 5]
    assert await found("", "render") == [1, 2, 5]
    assert await found("render.s*", "render:a, approvals") == [1]
    for bad in ("a b", "%", "*", "a*b", "-", "x" * 300, ",".join(["a"] * 41), "\0"):
        with pytest.raises(Invalid) as refused:
            EventFilter.parse([bad], [])
        assert refused.value.code == "events.bad_filter"


async def test_a_filtered_reader_who_comes_back_misses_nothing_and_gets_nothing_twice(
    events: EventStore, db: Database
) -> None:
    expected = EventFilter.parse(["mark"], [])
    total, seen = 120, []

    async def write() -> None:
        for number in range(total):
            await tell(events, db, f"render:{number % 3}", *(["noise"] * (number % 7)), "mark", n=number)

    writing = asyncio.create_task(write())
    async with asyncio.timeout(60):
        while len(seen) < total:
            # Comes back after every few events, as a page does whose line breaks.
            async for event in events.follow(None, seen[-1].id if seen else 0, expected):
                seen.append(event)
                if len(seen) % 17 == 0 or len(seen) == total:
                    break
    await writing
    assert [event.data["n"] for event in seen] == list(range(total))


async def test_the_latest_events_are_counted_among_those_that_are_wanted_and_may_be_read(
    events: EventStore, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn frames are none of them: 200 lines of a log would hold one render."""
    for _ in range(10):
        frames = ["render.progress"] * 9
        await tell(events, db, "render:a", "render.created", *frames, "render.state", tenant="acme")
        await tell(events, db, "render:b", "render.state", tenant="other")
    reader = EventReader(Principal("key_1", "ann", "admin", "key", tenant="acme"), None, None)  # type: ignore[arg-type]
    last = await events.last_id()
    states = EventFilter.parse(["render.state"], [])
    assert ids(await recent_events(events, reader, states, last, 3)) == [last - 25, last - 13, last - 1]
    kinds = [event.kind for event in await recent_events(events, reader, EventFilter(), last, 4)]
    assert kinds == ["render.created", "render.state"] * 2
    assert len(await recent_events(events, reader, states, last, 99)) == 10
    assert ids(await recent_events(events, reader, states, last - 12, 1)) == [last - 13]
    monkeypatch.setattr("agent.event_stream.RECENT_WINDOW", 20)
    assert len(await recent_events(events, reader, states, last, 99)) == 2


class _Policy:
    """Lets a given person pass."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.decider = self

    async def authenticate(self, _: Request) -> Principal:
        return self.principal

    async def require(self, *_: Any) -> None:
        return None


@pytest.fixture
async def client(events: EventStore) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.state.policy = _Policy(Principal("key_1", "ann", "admin", "key", tenant="acme"))
    app.include_router(event_router(events, None, None))  # type: ignore[arg-type]
    install_error_handlers(app)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1"
    ) as created:
        yield created


async def test_the_log_is_searched_on_the_server_and_pages_lead_on(
    client: httpx.AsyncClient, events: EventStore, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.event_stream.SEARCH_WINDOW", 40)
    for number in range(60):
        await tell(events, db, "render:a", "render.state", state="done", n=f"n{number}", tenant="acme")
        await tell(events, db, "render:b", "render.state", state="secret word", tenant="other")
    await tell(events, db, "render:c", "render.failed", why='Über "100%_\\', tenant="acme")
    found: list[dict[str, Any]] = []
    url = "/api/log?q=DONE+state&limit=7"
    while url:
        answer = await client.get(url)
        found += answer.json()
        url = answer.links.get("next", {}).get("url", "")
    assert [one["data"]["n"] for one in found] == [f"n{number}" for number in reversed(range(60))]
    for word in ("über", "100%25", "%5F", "%5C", "%22"):
        assert len((await client.get(f"/api/log?q={word}&limit=1")).json()) == 1, word
    assert (await client.get("/api/log?kinds=render.failed")).json()[0]["stream"] == "render:c"
    assert (await client.get("/api/log?kinds=a%20b")).json()["code"] == "events.bad_filter"


async def test_neither_events_nor_pages_tell_of_words_in_events_of_another_tenant(
    client: httpx.AsyncClient, events: EventStore, db: Database
) -> None:
    await tell(events, db, "render:b", "render.state", state="merger with initech", tenant="other")
    await tell(events, db, "render:a", "render.state", state="done", tenant="acme")
    there, missing = [await client.get(f"/api/log?q={word}&limit=1") for word in ("initech", "nowhere")]
    assert there.json() == missing.json() == []
    assert there.headers == missing.headers
