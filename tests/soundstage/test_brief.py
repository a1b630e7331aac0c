"""Transactions of prepared statements: the same promises as of any other, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar

import pytest
from sqlalchemy import JSON, Integer, String, bindparam, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from soundstage.database import Database, Prepared, UtcDateTime, in_transaction, when_committed
from soundstage.database.one_trip import OneTripConnection
from soundstage.errors import Unavailable
from soundstage.events import EventStore

pytestmark = pytest.mark.each_database


class Own(DeclarativeBase):
    """Not among the tables of the product."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime}


class Note(Own):
    """A row with one column of each kind that comes out in another form than it goes in."""

    __tablename__ = "test_brief_notes"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    at: Mapped[datetime]
    data: Mapped[dict[str, object]] = mapped_column(JSON)
    count: Mapped[int] = mapped_column(Integer, default=0)


NOTES = Own.metadata.tables["test_brief_notes"]
ADD = Prepared(insert(NOTES))
READ = Prepared(
    select(NOTES.c.name, NOTES.c.at, NOTES.c.data, NOTES.c.count).where(NOTES.c.name == bindparam("of"))
)
COUNT = Prepared(
    update(NOTES)
    .where(NOTES.c.name == bindparam("of"))
    .values(count=NOTES.c.count + 1)
    .returning(NOTES.c.count, NOTES.c.at)
)
NAMES = Prepared(text("SELECT name FROM test_brief_notes ORDER BY name"))
AT = datetime(2026, 11, 21, 10, 30, 5, 250_000, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = await with_notes(database_url)
    yield database
    await database.close()


async def with_notes(url: str) -> Database:
    database = Database(url)
    await database.create_tables()
    async with database.engine.begin() as connection:
        await connection.run_sync(Own.metadata.create_all)
    return database


def note(name: str) -> dict[str, object]:
    return {"name": name, "at": AT, "data": {"who": "Nova", "ö": [1, None]}, "count": 0}


async def test_what_goes_in_comes_out_as_the_orm_reads_it(db: Database) -> None:
    async with db.brief() as session:
        await ADD.rows(session, note("a"))
        await ADD.rows(session, [note("b"), note("c")])
        assert [tuple(row) for row in await NAMES.rows(session)] == [("a",), ("b",), ("c",)]
        assert await READ.first(session, {"of": "nobody"}) is None
        briefly = tuple(await READ.first(session, {"of": "a"}) or ())
        counted = tuple(await COUNT.first(session, {"of": "a"}) or ())
    async with db.session() as reading:
        row = await reading.get_one(Note, "a")
        # The same statement on the other kind of session.
        at_length = tuple(await READ.first(reading, {"of": "b"}) or ())
    assert briefly == ("a", AT, {"who": "Nova", "ö": [1, None]}, 0)
    assert briefly[1].tzinfo is UTC
    assert at_length == ("b", *briefly[1:])
    assert counted == (1, AT)
    assert (row.at, row.data, row.count) == (AT, briefly[2], 1)


async def test_a_block_that_raises_has_written_nothing_and_told_nobody(db: Database) -> None:
    told: list[str] = []
    with pytest.raises(ValueError, match="on purpose"):
        async with db.brief() as session:
            await ADD.rows(session, note("a"))
            assert in_transaction(session)
            when_committed(session, lambda: told.append("a"))
            raise ValueError("on purpose")
    async with db.brief() as session:
        assert not await NAMES.rows(session)
        when_committed(session, lambda: told.append("b"))
        assert not told
    assert told == ["b"]


async def test_one_transaction_of_a_task_is_open_at_a_time(db: Database) -> None:
    async with db.transaction():
        with pytest.raises(RuntimeError, match="open already"):
            async with db.brief():
                pass
    async with db.brief():
        with pytest.raises(RuntimeError, match="open already"):
            async with db.transaction():
                pass
    async with db.brief() as session:
        await ADD.rows(session, note("a"))


async def test_what_the_database_refuses_is_said_as_elsewhere(db: Database) -> None:
    async with db.brief() as session:
        await ADD.rows(session, note("a"))
    with pytest.raises(IntegrityError):
        async with db.brief() as session:
            await ADD.rows(session, note("a"))
    async with db.transaction() as session:
        assert [row[0] for row in await NAMES.rows(session)] == ["a"]


async def test_both_kinds_of_writers_take_turns(db: Database) -> None:
    async with db.brief() as session:
        await ADD.rows(session, note("a"))

    async def briefly() -> None:
        async with db.brief() as session:
            await COUNT.rows(session, {"of": "a"})

    async def at_length() -> None:
        async with db.transaction() as session:
            row = await session.get_one(Note, "a")
            await asyncio.sleep(0)
            row.count += 1

    await asyncio.gather(*(write() for _ in range(25) for write in (briefly, at_length)))
    async with db.session() as reading:
        assert (await reading.get_one(Note, "a")).count == 50


async def test_events_of_a_brief_transaction_wake_those_who_follow(db: Database, events: EventStore) -> None:
    async def hear() -> str:
        async for event in events.follow("notes"):
            return event.kind
        return ""

    hearing = asyncio.create_task(hear())
    await asyncio.sleep(0.1)
    async with db.brief() as session:
        await events.append(session, "notes", "note.made", {"name": "a"})
    assert await asyncio.wait_for(hearing, 60) == "note.made"


async def test_a_default_of_python_has_to_be_named(db: Database, database_engine: str) -> None:
    if database_engine != "sqlite":
        pytest.skip("the ORM fills defaults in on PostgreSQL; run it with SQLite")
    forgetful = {name: value for name, value in note("a").items() if name != "count"}
    with pytest.raises(TypeError, match="count"):
        async with db.brief() as session:
            await ADD.rows(session, forgetful)


async def test_the_lock_of_another_process_is_waited_for_and_then_explained(
    db: Database, database_url: str, database_engine: str
) -> None:
    if database_engine != "sqlite":
        pytest.skip("the server of PostgreSQL keeps the order; run it with SQLite")
    other = Database(database_url, busy_timeout_ms=50)
    async with db.transaction():
        with pytest.raises(Unavailable) as raised:
            async with other.brief():
                pass
    assert raised.value.code == "database.busy"
    async with other.brief() as session:
        await ADD.rows(session, note("a"))
    await other.close()


async def test_a_connection_is_used_again_and_closed_with_the_database(
    database_url: str, database_engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database_engine != "sqlite":
        pytest.skip("brief transactions have connections of their own on SQLite only")
    closed: list[OneTripConnection] = []
    real = OneTripConnection.close

    async def close(self: OneTripConnection) -> None:
        closed.append(self)
        await real(self)

    db = await with_notes(database_url)
    await db.engine.dispose()
    monkeypatch.setattr(OneTripConnection, "close", close)
    for name in ("a", "b", "c"):
        async with db.brief() as session:
            await ADD.rows(session, note(name))
    assert not closed
    await db.close()
    assert len(closed) == 1
