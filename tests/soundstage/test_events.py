from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from soundstage.database import Database, utcnow
from soundstage.errors import Unavailable
from soundstage.events import Event, EventStore, store
from soundstage.tracing import trace

pytestmark = pytest.mark.each_database


async def append(db: Database, events: EventStore, stream: str, *numbers: int) -> list[Event]:
    created: list[Event] = []
    for number in numbers:
        async with db.transaction() as session:
            created.append(await events.append(session, stream, "counted", {"number": number}))
    return created


async def take(events: EventStore, count: int, stream: str | None = None, after: int = 0) -> list[Event]:
    found: list[Event] = []
    async with aclosing(events.follow(stream, after)) as following:
        async for event in following:
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_an_event_is_numbered_in_all_and_in_its_stream(db: Database, events: EventStore) -> None:
    await append(db, events, "a", 1, 2)
    await append(db, events, "b", 3)
    await append(db, events, "a", 4)
    assert [(event.id, event.stream, event.seq) for event in await events.read()] == [
        (1, "a", 1),
        (2, "a", 2),
        (3, "b", 1),
        (4, "a", 3),
    ]


async def test_an_event_comes_back_as_it_was_appended(db: Database, events: EventStore) -> None:
    data = {"text": "ünï 😀", "list": [1, 2.5, None], "deep": {"a": True}}
    with trace() as trace_id:
        async with db.transaction() as session:
            appended = await events.append(session, "render:1", "render.done", data)
    (read,) = await events.read()
    assert read == appended
    assert (read.kind, read.data, read.trace_id) == ("render.done", data, trace_id)
    assert abs(utcnow() - read.at) < timedelta(seconds=10)


async def test_a_given_trace_id_wins_over_the_current_one(db: Database, events: EventStore) -> None:
    with trace():
        async with db.transaction() as session:
            event = await events.append(session, "s", "k", trace_id="0" * 31 + "1")
    assert event.trace_id == "0" * 31 + "1"


async def test_a_transaction_that_fails_leaves_neither_event_nor_gap(
    db: Database, events: EventStore
) -> None:
    await append(db, events, "a", 1)
    with pytest.raises(KeyError):
        async with db.transaction() as session:
            await events.append(session, "a", "counted")
            raise KeyError
    await append(db, events, "a", 2)
    assert [(event.id, event.seq) for event in await events.read()] == [(1, 1), (2, 2)]


async def test_one_transaction_can_tell_several_events(db: Database, events: EventStore) -> None:
    async with db.transaction() as session:
        for stream in ("a", "b", "a"):
            await events.append(session, stream, "k")
    assert [(event.stream, event.seq) for event in await events.read()] == [("a", 1), ("b", 1), ("a", 2)]


async def test_events_cannot_be_appended_without_a_transaction(db: Database, events: EventStore) -> None:
    async with db.session() as session:
        with pytest.raises(RuntimeError, match=r"Database\.transaction"):
            await events.append(session, "a", "k")


@pytest.mark.parametrize("stream", ["", "*"])
async def test_the_counter_of_all_streams_is_no_stream(db: Database, events: EventStore, stream: str) -> None:
    async with db.transaction() as session:
        with pytest.raises(ValueError, match="not the name of a stream"):
            await events.append(session, stream, "k")


async def test_reading_begins_after_a_cursor_and_ends_at_a_limit(db: Database, events: EventStore) -> None:
    await append(db, events, "a", *range(10))
    await append(db, events, "b", *range(10))
    assert [event.id for event in await events.read(after=18)] == [19, 20]
    assert [event.id for event in await events.read("b", after=3, limit=2)] == [11, 12]
    assert await events.read(after=10**30) == []
    assert await events.last_id() == 20


async def test_following_gives_what_was_and_what_comes(db: Database, events: EventStore) -> None:
    await append(db, events, "a", 1, 2)
    following = asyncio.create_task(take(events, 4))
    await asyncio.sleep(0.05)
    await append(db, events, "b", 3, 4)
    assert [event.id for event in await asyncio.wait_for(following, 60)] == [1, 2, 3, 4]


async def test_following_one_stream_leaves_out_the_others(db: Database, events: EventStore) -> None:
    await append(db, events, "a", 1)
    following = asyncio.create_task(take(events, 2, "a"))
    await append(db, events, "b", 2)
    await append(db, events, "a", 3)
    assert [event.data["number"] for event in await asyncio.wait_for(following, 60)] == [1, 3]


async def test_following_crosses_the_borders_of_pages(
    db: Database, events: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PAGE", 5)
    for count in (4, 5, 1, 6):
        await append(db, events, "a", *range(count))
    assert [event.seq for event in await take(events, 16)] == list(range(1, 17))


async def test_a_commit_of_this_process_wakes_at_once(db: Database) -> None:
    events = EventStore(db, poll_s=60)
    following = asyncio.create_task(take(events, 1))
    await asyncio.sleep(0.1)
    start = time.perf_counter()
    await append(db, events, "a", 1)
    await asyncio.wait_for(following, 60)
    assert time.perf_counter() - start < 30


async def test_what_another_process_writes_is_found(db: Database, events: EventStore) -> None:
    # Another pool and another store: nothing tells us of their commits.
    other_db = Database(str(db.url))
    other = EventStore(other_db)
    following = asyncio.create_task(take(events, 2))
    await append(other_db, other, "a", 1)
    await asyncio.sleep(0.2)
    await append(other_db, other, "a", 2)
    assert [event.seq for event in await asyncio.wait_for(following, 60)] == [1, 2]
    await other_db.close()


async def test_a_commit_that_is_rolled_back_wakes_nobody_with_a_phantom(
    db: Database, events: EventStore
) -> None:
    following = asyncio.create_task(take(events, 1))
    await asyncio.sleep(0.05)
    with pytest.raises(KeyError):
        async with db.transaction() as session:
            await events.append(session, "a", "phantom")
            raise KeyError
    await append(db, events, "a", 7)
    (event,) = await asyncio.wait_for(following, 60)
    assert event.kind == "counted"


async def test_many_followers_cost_one_poll(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    polls = 0
    last_id = EventStore.last_id

    async def counted(self: EventStore) -> int:
        nonlocal polls
        polls += 1
        return await last_id(self)

    monkeypatch.setattr(EventStore, "last_id", counted)
    events = EventStore(db, poll_s=0.1)
    followers = [asyncio.create_task(take(events, 1)) for _ in range(50)]
    began = time.perf_counter()
    async with asyncio.timeout(60):
        # Where the database tells of commits there is one look to begin with, and no reason for another.
        while polls < (2 if db.is_sqlite else 1):  # noqa: ASYNC110 - polls are the tested
            await asyncio.sleep(0.1)
    await append(db, events, "a", 1)
    await asyncio.wait_for(asyncio.gather(*followers), 60)
    assert polls <= 2 + (time.perf_counter() - began) / 0.1
    # Nobody follows any more, so nobody polls.
    polls = 0
    await asyncio.sleep(0.3)
    assert polls == 0


async def test_a_commit_to_one_stream_wakes_only_who_follows_it(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str | None] = []
    read = EventStore.read

    async def noted(
        self: EventStore, stream: str | None = None, *arguments: Any, **named: Any
    ) -> list[Event]:
        reads.append(stream)
        return await read(self, stream, *arguments, **named)

    monkeypatch.setattr(EventStore, "read", noted)
    events = EventStore(db, poll_s=60)
    streams = ("a", "b", None)
    followers = [asyncio.create_task(take(events, 5, stream)) for stream in streams]
    async with asyncio.timeout(60):
        # Each reads when it begins and after the first look, which wakes everybody.
        while not all(reads.count(stream) >= 2 for stream in streams):  # noqa: ASYNC110 - they are the tested
            await asyncio.sleep(0.01)
    reads.clear()
    for number in range(5):
        await append(db, events, "a", number)
        await asyncio.sleep(0.02)
    await asyncio.wait_for(asyncio.gather(followers[0], followers[2]), 60)
    assert {"a", None} <= set(reads)
    assert "b" not in reads
    await append(db, events, "b", *range(5))
    await asyncio.wait_for(followers[1], 60)


async def test_a_follower_with_nothing_to_read_reads_nothing(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read = EventStore.read

    async def counted(self: EventStore, *arguments: Any, **named: Any) -> list[Event]:
        nonlocal reads
        reads += 1
        return await read(self, *arguments, **named)

    monkeypatch.setattr(EventStore, "read", counted)
    events = EventStore(db, poll_s=0.05)
    following = asyncio.create_task(take(events, 2))
    await append(db, events, "a", 1)
    await asyncio.sleep(0.5)
    assert 1 <= reads <= 4
    await append(db, events, "a", 2)
    await asyncio.wait_for(following, 60)


async def test_a_follower_survives_a_database_that_is_busy_for_a_while(
    db: Database, events: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = asyncio.create_task(take(events, 1))
    await asyncio.sleep(0.1)
    other_db = Database(str(db.url))

    async def busy(self: EventStore) -> int:
        raise Unavailable("database.busy", "Busy.")

    with monkeypatch.context() as patched:
        patched.setattr(events._followers, "_last_id", lambda: busy(events))
        await asyncio.sleep(0.15)
    await append(other_db, EventStore(other_db), "a", 1)
    assert len(await asyncio.wait_for(following, 60)) == 1
    await other_db.close()


async def test_pruned_numbers_are_never_given_out_again(db: Database, events: EventStore) -> None:
    await append(db, events, "a", 1, 2, 3)
    async with db.transaction() as session:
        assert await events.prune(session, utcnow() - timedelta(days=1)) == 0
        assert await events.prune(session, utcnow() + timedelta(days=1)) == 3
    assert await events.read() == []
    assert await events.last_id() == 3
    (event,) = await append(db, events, "a", 4)
    assert (event.id, event.seq) == (4, 4)


async def test_no_poll_outlives_the_close(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its question to the database has been answered by then, also that of a follower who went just now."""
    events = EventStore(db, poll_s=0.001)
    request, answered = asyncio.Event(), asyncio.Event()
    last_id = events.last_id

    async def slow() -> int:
        request.set()
        await answered.wait()
        return await last_id()

    monkeypatch.setattr(events._followers, "_last_id", slow)
    with events.watch("jobs"):
        await request.wait()
    with events.watch("jobs"):
        pass
    closing = asyncio.create_task(events.close())
    await asyncio.sleep(0)
    assert not closing.done()
    answered.set()
    await closing
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "events: watch"]
