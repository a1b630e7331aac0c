"""Brief statements are run where they stand; nothing that may take long stops the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update

from soundstage.database import Database, utcnow
from soundstage.database.in_place import Way, Ways
from soundstage.database.one_trip import OneTripConnection
from soundstage.errors import Unavailable
from soundstage.events import EventStore
from soundstage.events.models import EventRow

# Some ten million instructions: a second or so.
SLOW = (
    "SELECT count(*) FROM (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000000) "
    "SELECT x FROM n)"
)
MOST_PAUSE_S, MOST_WORK_S = 5.0, 0.2


@pytest.fixture
def database_engine() -> str:
    return "sqlite"


@dataclass
class Trips:
    """How often a thread was asked."""

    count: int = 0


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> Trips:
    counted = Trips()
    real = OneTripConnection._execute

    async def execute(self: OneTripConnection, *given: Any, **named: Any) -> Any:
        counted.count += 1
        return await real(self, *given, **named)

    monkeypatch.setattr(OneTripConnection, "_execute", execute)
    return counted


@dataclass
class Pauses:
    """How long the event loop did nothing for others, at most, and how much its thread computed meanwhile;
    seconds. On a busy machine it is kept waiting without any work of its own.
    """

    longest: float = 0.0
    work: float = 0.0


@asynccontextmanager
async def watched_loop() -> AsyncIterator[Pauses]:
    found, loop = Pauses(), asyncio.get_running_loop()

    async def watch() -> None:
        seen, worked = loop.time(), time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            found.longest, seen = max(found.longest, loop.time() - seen), loop.time()
            found.work, worked = max(found.work, time.thread_time() - worked), time.thread_time()

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.01)
    yield found
    await asyncio.sleep(0.01)
    watching.cancel()


async def test_a_row_is_read_without_a_trip(db: Database, trips: Trips) -> None:
    async with db.session() as session:
        await session.scalar(select(func.count()).select_from(EventRow))
    trips.count = 0
    async with db.session() as session:
        assert await session.scalar(select(EventRow.id).where(EventRow.id == 1)) is None
    assert trips.count == 0


async def test_an_event_is_written_with_one_trip_for_the_commit(
    db: Database, events: EventStore, trips: Trips
) -> None:
    async with db.transaction() as session:
        await events.append(session, "s", "written")
    trips.count = 0
    async with db.transaction() as session:
        await events.append_all(session, "s", [("written", {}), ("written", {})])
    assert trips.count == 1
    assert [event.seq for event in await events.read("s")] == [1, 2, 3]


async def test_a_slow_query_stops_nobody_and_is_answered(db: Database, trips: Trips) -> None:
    async with watched_loop() as pauses, db.session() as session:
        assert await session.scalar(text(SLOW)) == 3_000_000
    assert trips.count > 0
    assert pauses.work < MOST_WORK_S


async def test_a_query_that_was_slow_leaves_what_was_written_before_it(db: Database) -> None:
    async with db.transaction() as session:
        row = {"id": 1, "stream": "s", "seq": 1, "kind": "k", "data": {}, "at": utcnow(), "trace_id": None}
        await session.execute(insert(EventRow), [row])
        assert await session.scalar(text(SLOW)) == 3_000_000
    async with db.session() as session:
        assert await session.scalar(select(func.count()).select_from(EventRow)) == 1


async def test_the_lock_of_another_process_stops_nobody(db: Database, events: EventStore) -> None:
    assert db.path is not None
    other = sqlite3.connect(db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with db.transaction() as session:
            await events.append(session, "s", "written")

    async with watched_loop() as pauses:
        writing = asyncio.create_task(write())
        await asyncio.sleep(0.5)
        assert not writing.done()
        other.execute("ROLLBACK")
        await writing
    other.close()
    assert pauses.longest < MOST_PAUSE_S
    assert len(await events.read("s")) == 1


async def test_a_lock_that_is_never_let_go_is_told(tmp_path: Any) -> None:
    db = Database(f"sqlite:///{tmp_path}/x.db", busy_timeout_ms=200)
    await db.create_tables()
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable) as error:
        async with db.transaction():
            pass
    assert error.value.code == "database.busy"
    other.close()
    await db.close()


async def test_many_statements_in_a_row_leave_others_their_turn(db: Database) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    waiting = asyncio.create_task(other())
    async with db.session() as session:
        for number in range(200):
            await session.scalar(select(EventRow.id).where(EventRow.id == number))
    waiting.cancel()
    assert turns >= 10


@pytest.mark.parametrize(
    ("sql", "way"),
    [
        ("SELECT a FROM t", Way.QUERY),
        ("BEGIN IMMEDIATE", Way.BEGIN),
        ("INSERT INTO t (a, b) VALUES (?, ?)", Way.ROW),
        ("INSERT INTO t (a) VALUES (?), (?) ON CONFLICT (a) DO UPDATE SET b = 1 RETURNING a", Way.ROW),
        ("INSERT INTO t (a) SELECT a FROM u", Way.THREAD),
        ("INSERT INTO t (a) VALUES ((SELECT max(a) FROM t))", Way.THREAD),
        ("UPDATE t SET a = 1", Way.THREAD),
        ("UPDATE t SET a=? WHERE t.id = ?", Way.ROW),
        ("UPDATE t SET a=(t.a + ?), b=? WHERE t.id = ? AND t.b = ? AND t.c IS NULL RETURNING a, b", Way.ROW),
        ("UPDATE t SET a=CASE WHEN (t.a = ?) THEN ? ELSE t.a END WHERE t.id = ?", Way.ROW),
        ("UPDATE pair SET a=? WHERE pair.x = ? AND pair.y = ?", Way.ROW),
        ("UPDATE pair SET a=? WHERE pair.x = ?", Way.THREAD),
        ("UPDATE t SET a=? WHERE t.id > ?", Way.THREAD),
        ("UPDATE t SET a=? WHERE t.id = ? OR t.b = ?", Way.THREAD),
        ("UPDATE t SET a=? WHERE t.id IN (SELECT id FROM u WHERE u.id = ?)", Way.THREAD),
        ("UPDATE t SET a=(SELECT max(a) FROM u) WHERE t.id = ?", Way.THREAD),
        ("UPDATE unknown SET a=? WHERE unknown.id = ?", Way.THREAD),
        ("DELETE FROM t", Way.THREAD),
        ("WITH x AS (SELECT 1) DELETE FROM t", Way.THREAD),
        ("PRAGMA wal_checkpoint", Way.THREAD),
        ("VACUUM", Way.THREAD),
        ("COMMIT", Way.THREAD),
    ],
)
def test_what_may_take_long_goes_to_the_thread(sql: str, way: Way) -> None:
    keys = {"t": ["id"], "pair": ["x", "y"]}
    assert Ways(lambda table: keys.get(table, ())).of(sql, 2) is way


async def test_one_row_is_changed_without_a_trip(db: Database, events: EventStore, trips: Trips) -> None:
    async with db.transaction() as session:
        await events.append(session, "s", "written")
    async with db.transaction() as session:
        trips.count = 0
        await session.execute(update(EventRow).where(EventRow.id == 1).values(kind="changed"))
        assert trips.count == 0
    assert [event.kind for event in await events.read("s")] == ["changed"]


def test_many_rows_at_once_go_to_the_thread() -> None:
    assert Ways().of("INSERT INTO t (a, b) VALUES (?, ?)", 5000) is Way.THREAD
