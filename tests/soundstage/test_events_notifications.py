"""Where the database can tell, events of other processes come at once, and a lost line loses none of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from soundstage.database import Database
from soundstage.events import Event, EventStore, wakeups


@pytest.fixture
def database_engine() -> str:
    return "postgresql"


@pytest.fixture
async def elsewhere(database_url: str) -> AsyncIterator[Database]:
    """The database as another process has it."""
    database = Database(database_url)
    yield database
    await database.close()


class Follower:
    """Follows all events in a task of its own."""

    def __init__(self, events: EventStore) -> None:
        self.found: list[Event] = []
        self._new = asyncio.Event()
        self.task = asyncio.create_task(self._follow(events))

    async def _follow(self, events: EventStore) -> None:
        async for event in events.follow():
            self.found.append(event)
            self._new.set()

    async def until(self, count: int, within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while len(self.found) < count:
                self._new.clear()
                await self._new.wait()

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def append(db: Database, kind: str) -> None:
    async with db.transaction() as session:
        await EventStore(db).append(session, "a", kind)


async def listeners(db: Database) -> int:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"
    )
    async with db.session() as session:
        return await session.scalar(text(query)) or 0


async def until_listening(db: Database, count: int) -> None:
    async with asyncio.timeout(60):
        while await listeners(db) != count:  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.02)


async def test_a_commit_elsewhere_arrives_at_once(db: Database, elsewhere: Database) -> None:
    follower = Follower(EventStore(db, poll_s=60))
    await until_listening(elsewhere, 1)
    await asyncio.sleep(0.1)
    for number in range(1, 6):
        start = time.perf_counter()
        await append(elsewhere, "told")
        await follower.until(number, 60)
        assert time.perf_counter() - start < 30
    await follower.end()


async def test_what_is_rolled_back_elsewhere_is_not_told(db: Database, elsewhere: Database) -> None:
    follower = Follower(EventStore(db, poll_s=60))
    await until_listening(elsewhere, 1)
    with pytest.raises(KeyError):
        async with elsewhere.transaction() as session:
            await EventStore(elsewhere).append(session, "a", "phantom")
            raise KeyError
    await append(elsewhere, "real")
    await follower.until(1, 60)
    assert [(event.id, event.kind) for event in follower.found] == [(1, "real")]
    await follower.end()


async def test_a_lost_line_is_taken_up_again_and_nothing_is_lost(db: Database, elsewhere: Database) -> None:
    follower = Follower(EventStore(db, poll_s=0.05))
    await until_listening(elsewhere, 1)
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'")
    for number in range(1, 4):
        async with elsewhere.session() as session:
            await session.execute(cut)
        await append(elsewhere, "told")
        await follower.until(number, 60)
        await until_listening(elsewhere, 1)
    assert [event.id for event in follower.found] == [1, 2, 3]
    await follower.end()


async def test_without_a_line_events_are_looked_for(
    db: Database, elsewhere: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler in transaction mode takes LISTEN and forgets it: the line is dead and does not say so."""
    monkeypatch.setattr(wakeups, "GUARD_POLL_S", 0.1)
    follower = Follower(EventStore(db, poll_s=0.05))
    await until_listening(elsewhere, 1)

    async def silent(*_: object) -> None:
        """The commit is told to nobody."""

    monkeypatch.setattr(wakeups.Notifier, "notify", silent)
    await append(elsewhere, "k")
    await follower.until(1, 60)
    await follower.end()


async def test_nobody_listens_when_nobody_follows(db: Database, elsewhere: Database) -> None:
    follower = Follower(EventStore(db))
    await until_listening(elsewhere, 1)
    await follower.end()
    await until_listening(elsewhere, 0)
