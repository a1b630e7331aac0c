"""What is particular to SQLite: its file, its mode, and what can be wrong with them."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from soundstage.database import Database
from soundstage.database.sqlite import SingleCallConnection
from soundstage.errors import SoundstageError, Unavailable
from soundstage.events import EventStore

# Some ten million instructions: a second or so.
SLOW = (
    "SELECT count(*) FROM (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000000) "
    "SELECT x FROM n)"
)
MAX_PAUSE_S, MAX_WORK_S = 5.0, 0.2


@pytest.fixture
def database_engine() -> str:
    return "sqlite"


async def ask(db: Database) -> None:
    async with db.session() as session:
        await session.execute(text("SELECT * FROM events"))


async def journal_mode(db: Database) -> str:
    async with db.session() as session:
        return str(await session.scalar(text("PRAGMA journal_mode")))


async def test_sqlite_writes_ahead_and_waits(db: Database) -> None:
    async with db.session() as session:
        pragmas = [await session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "busy_timeout")]
    assert pragmas == ["wal", 10_000]


async def test_whoever_finds_another_at_the_first_opening_waits(tmp_path: Path) -> None:
    """As processes do that start together on a new installation."""
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    db = Database(f"sqlite:///{path}")
    waiting = asyncio.create_task(journal_mode(db))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    other.execute("CREATE TABLE first (id)")
    other.execute("COMMIT")
    other.close()
    assert await waiting == "wal"
    await db.close()


async def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/a/b/c.db")
    await db.create_tables()
    assert db.path == tmp_path / "a" / "b" / "c.db" and db.path.is_file()
    await db.close()


async def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"this is a letter to my mother, and no database at all" * 100)
    db = Database(f"sqlite:///{path}")
    with pytest.raises(Unavailable) as error:
        await ask(db)
    await db.close()
    assert error.value.code == "database.damaged"


def test_something_in_the_way_says_that_the_file_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "x.db"):
        with pytest.raises(Unavailable) as error:
            Database(f"sqlite:///{path}")
        assert error.value.code == "database.cannot_open"


async def test_a_full_disk_is_told_as_such(db: Database) -> None:
    # SQLite's own limit on the size of the file gives the same error as a full disk.
    with pytest.raises(SoundstageError) as error:
        async with db.transaction() as session:
            pages = await session.scalar(text("PRAGMA page_count"))
            await session.execute(text(f"PRAGMA max_page_count = {pages}"))
            await session.execute(text("CREATE TABLE ballast AS SELECT zeroblob(10000000)"))
    assert error.value.code == "database.disk_full"
    assert error.value.status == 507


async def test_closing_leaves_one_file(db: Database) -> None:
    path = db.path
    assert path is not None
    await db.close()
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@dataclass
class Pauses:
    """How long the event loop did nothing for others, at most, and how much its thread computed meanwhile;
    seconds. On a busy machine it waits without any work of its own.
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


async def test_a_statement_is_one_call_to_the_thread(
    db: Database, events: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    real = SingleCallConnection._execute

    async def execute(self: SingleCallConnection, *arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        return await real(self, *arguments, **named)

    async with db.session() as session:
        await session.execute(text("SELECT 1"))
        monkeypatch.setattr(SingleCallConnection, "_execute", execute)
        assert (await session.execute(text("SELECT 1"))).all() == [(1,)]
        assert calls == 1
    async with db.transaction() as session:
        calls = 0
        # The counters of all events and of the stream, and both events.
        await events.append_all(session, "s", [("written", {}), ("written", {})])
        assert calls == 2
    assert [event.seq for event in await events.read("s")] == [1, 2]


async def test_a_slow_query_does_not_block_the_event_loop(db: Database) -> None:
    async with watched_loop() as pauses, db.session() as session:
        assert await session.scalar(text(SLOW)) == 3_000_000
    assert pauses.work < MAX_WORK_S


async def test_the_lock_of_another_process_does_not_block_the_event_loop(
    db: Database, events: EventStore
) -> None:
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
    assert pauses.longest < MAX_PAUSE_S
    assert len(await events.read("s")) == 1


async def test_a_lock_that_is_never_released_is_reported(tmp_path: Path) -> None:
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


async def test_folding_leaves_the_patience_of_a_connection_as_it_was(db: Database) -> None:
    await db.checkpoint_wal()
    async with db.session() as session:
        assert await session.scalar(text("PRAGMA busy_timeout")) == 10_000
