"""What every room relies on, whatever the database is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import ForeignKey, MetaData, event, func, insert, select, text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from soundstage.database import Database, UtcDateTime, in_transaction, new_id, on_commit, utcnow
from soundstage.errors import Invalid, Unavailable

pytestmark = pytest.mark.each_database


class Notes(DeclarativeBase):
    """Tables of this test alone, so that no migration ever sees them."""

    metadata = MetaData()


class Note(Notes):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    parent: Mapped[int | None] = mapped_column(ForeignKey("notes.id"))


@pytest.fixture
async def notes(db: Database) -> Database:
    async with db.transaction() as session:
        await (await session.connection()).run_sync(Notes.metadata.create_all)
    return db


async def numbers(db: Database) -> list[int]:
    async with db.session() as session:
        return list(await session.scalars(select(Note.number).order_by(Note.id)))


async def test_a_transaction_commits_at_its_end(notes: Database) -> None:
    async with notes.transaction() as session:
        session.add(Note(number=1))
        assert in_transaction(session)
    assert await numbers(notes) == [1]


async def test_a_transaction_that_raises_leaves_nothing(notes: Database) -> None:
    with pytest.raises(KeyError):
        async with notes.transaction() as session:
            session.add(Note(number=1))
            await session.flush()
            raise KeyError
    assert await numbers(notes) == []


async def test_a_session_reads_and_keeps_nothing_that_is_written_in_it(notes: Database) -> None:
    async with notes.session() as session:
        assert not in_transaction(session)
        await session.execute(insert(Note).values(number=1))
    assert await numbers(notes) == []


async def test_objects_can_be_used_after_the_commit(notes: Database) -> None:
    async with notes.transaction() as session:
        note = Note(number=7)
        session.add(note)
    assert (note.id, note.number) == (1, 7)


async def test_a_session_sees_one_consistent_state(notes: Database) -> None:
    async with notes.session() as reading:
        before = await reading.scalar(select(func.count()).select_from(Note))
        async with notes.transaction() as session:
            session.add(Note(number=1))
        assert await reading.scalar(select(func.count()).select_from(Note)) == before
    assert await numbers(notes) == [1]


async def test_writers_who_read_first_lose_no_update(notes: Database) -> None:
    async with notes.transaction() as session:
        session.add(Note(id=1, number=0))

    async def count_up() -> None:
        for _ in range(20):
            async with notes.transaction() as session:
                note = await session.get_one(Note, 1)
                note.number += 1

    await asyncio.gather(*(count_up() for _ in range(8)))
    assert await numbers(notes) == [160]


async def test_two_databases_on_one_file_wait_for_each_other(notes: Database) -> None:
    # As two processes do: another pool, another connection.
    other = Database(str(notes.url))
    order: list[str] = []
    inside = asyncio.Event()

    async def slow() -> None:
        async with notes.transaction() as session:
            order.append("first in")
            inside.set()
            session.add(Note(number=1))
            await asyncio.sleep(0.2)
            order.append("first out")

    async def second() -> None:
        await inside.wait()
        async with other.transaction() as session:
            order.append("second in")
            session.add(Note(number=2))

    await asyncio.gather(slow(), second())
    await other.close()
    assert order == ["first in", "first out", "second in"]
    assert await numbers(notes) == [1, 2]


async def test_whoever_waits_too_long_is_told_that_the_database_is_busy(notes: Database) -> None:
    short_timeout = Database(str(notes.url), busy_timeout_ms=50)
    async with notes.transaction():
        with pytest.raises(Unavailable) as error:
            async with short_timeout.transaction():
                pytest.fail("two writers at once")
    await short_timeout.close()
    assert error.value.code == "database.busy"


async def test_writers_of_one_process_write_in_the_order_in_which_they_came(notes: Database) -> None:
    if not notes.is_sqlite:
        pytest.skip("the server of PostgreSQL keeps the order; run it with SQLite")
    written: list[int] = []

    async def write(number: int) -> None:
        async with notes.transaction() as session:
            session.add(Note(number=number))
            written.append(number)

    async with notes.transaction():
        waiting = []
        for number in range(20):
            waiting.append(asyncio.create_task(write(number)))
            await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert written == list(range(20))


async def test_readers_are_not_blocked_by_a_writer(notes: Database) -> None:
    short_timeout = Database(str(notes.url), busy_timeout_ms=50)
    async with notes.transaction() as session:
        session.add(Note(number=1))
        await session.flush()
        assert await numbers(short_timeout) == []
    await short_timeout.close()


async def test_a_transaction_inside_a_transaction_is_a_mistake_that_is_told(notes: Database) -> None:
    async with notes.transaction():
        with pytest.raises(RuntimeError, match="open already"):
            async with notes.transaction():
                pytest.fail("this would wait for itself")
    async with notes.transaction() as session:
        session.add(Note(number=1))
    assert await numbers(notes) == [1]


async def test_a_task_started_inside_a_transaction_may_have_its_own(notes: Database) -> None:
    async def write() -> None:
        async with notes.transaction() as session:
            session.add(Note(number=2))

    async with notes.transaction() as session:
        session.add(Note(number=1))
        task = asyncio.create_task(write())
        await asyncio.sleep(0.02)
    await task
    assert await numbers(notes) == [1, 2]


async def test_a_transaction_that_is_cancelled_again_and_again_closes_before_it_ends(
    notes: Database, caplog: pytest.LogCaptureFixture
) -> None:
    flushed = asyncio.Event()

    async def write() -> None:
        async with notes.transaction() as session:
            session.add(Note(number=1))
            await session.flush()
            flushed.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(write())
    await flushed.wait()
    # The first one ends it; then it rolls back and closes, and anyio goes on to cancel it.
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    # The loop ends right behind it and would cut off whatever is still closing.
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not caplog.records


async def test_a_commit_whose_task_is_cancelled_ends_before_the_task(
    notes: Database, caplog: pytest.LogCaptureFixture
) -> None:
    hooks: list[str] = []

    async def write() -> None:
        async with notes.transaction() as session:
            on_commit(session, lambda: hooks.append("committed"))
            session.add(Note(number=1))
            # The row is committed then, and its connection is on the way back to the pool.
            pool = (await session.connection()).sync_engine.pool
            event.listen(pool, "reset", lambda *_: task.cancel(), once=True)

    task = asyncio.create_task(write())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert (hooks, await numbers(notes)) == (["committed"], [1])
    assert not caplog.records


async def test_a_cancelled_transaction_is_rolled_back_and_lets_the_next_one_in(notes: Database) -> None:
    async def write() -> None:
        async with notes.transaction() as session:
            session.add(Note(number=1))
            await session.flush()
            await asyncio.sleep(60)

    task = asyncio.create_task(write())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with notes.transaction() as session:
        session.add(Note(number=2))
    assert await numbers(notes) == [2]


async def with_a_child(notes: Database) -> None:
    async with notes.transaction() as session:
        session.add(Note(id=1, number=1))
        await session.flush()
        session.add(Note(id=2, number=2, parent=1))


async def test_a_table_that_is_rebuilt_takes_nothing_along_that_refers_to_its_rows(notes: Database) -> None:
    """SQLite would delete them with the old table; PostgreSQL needs no rebuilding."""
    if not notes.is_sqlite:
        pytest.skip("PostgreSQL alters tables in place; run it with SQLite")
    await with_a_child(notes)
    async with notes.schema_change() as connection:
        await connection.execute(text("CREATE TABLE anew AS SELECT * FROM notes"))
        await connection.execute(text("DROP TABLE notes"))
        await connection.execute(text("ALTER TABLE anew RENAME TO notes"))
    assert await numbers(notes) == [1, 2]
    async with notes.session() as session:
        assert await session.scalar(text("PRAGMA foreign_keys")) == 1


async def test_a_rebuilding_that_breaks_a_reference_is_rolled_back(notes: Database) -> None:
    if not notes.is_sqlite:
        pytest.skip("PostgreSQL keeps references up itself; run it with SQLite")
    await with_a_child(notes)
    with pytest.raises(RuntimeError, match="without what they refer to"):
        async with notes.schema_change() as connection:
            await connection.execute(text("DELETE FROM notes WHERE id = 1"))
    assert await numbers(notes) == [1, 2]


async def test_foreign_keys_hold(notes: Database) -> None:
    with pytest.raises(IntegrityError):
        async with notes.transaction() as session:
            session.add(Note(number=1, parent=99))


async def test_times_come_back_in_utc_whatever_zone_they_had(notes: Database) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    async with notes.transaction() as session:
        session.add(Note(number=1, at=at))
        session.add(Note(number=2, at=None))
    async with notes.session() as session:
        first, second = (await session.scalars(select(Note).order_by(Note.id))).all()
        found = await session.scalar(select(Note.number).where(Note.at == at))
    assert first.at == at and first.at.tzinfo is UTC
    assert second.at is None
    assert found == 1


async def test_a_time_without_a_zone_is_refused(notes: Database) -> None:
    with pytest.raises(StatementError, match="without a zone"):
        async with notes.transaction() as session:
            session.add(Note(number=1, at=datetime(2026, 3, 1)))


def test_now_is_in_utc() -> None:
    assert utcnow().tzinfo is UTC


def test_ids_are_distinct_readable_and_sorted_by_time() -> None:
    ids = [new_id("prj") for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert all(len(found) == 30 and found.startswith("prj_") and found == found.lower() for found in ids)
    # The first ten digits are the time.
    assert [found[:14] for found in ids] == sorted(found[:14] for found in ids)


async def test_missing_tables_say_that_a_migration_is_needed(database_url: str) -> None:
    db = Database(database_url)
    with pytest.raises(Unavailable) as error:
        await numbers(db)
    await db.close()
    assert error.value.code == "database.not_migrated"
    assert "soundstage migrate" in error.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no url at all",
        "://",
        "postgresql://u:hunter2@h/d?sslmode=require&colour=blue",
        "postgresql://u:hunter2@h",
        "postgresql://u:hunter2@h:port/d",
    ],
)
def test_a_url_that_cannot_be_read_is_invalid_and_tells_no_password(url: str) -> None:
    with pytest.raises(Invalid) as error:
        Database(url)
    assert error.value.code == "database.url_invalid"
    assert "hunter2" not in str(error.value)


def test_a_database_without_a_driver_is_unavailable_and_tells_no_password() -> None:
    with pytest.raises(Unavailable) as error:
        Database("mongodb://u:hunter2@h/d")
    assert error.value.code == "database.driver_missing"
    assert "hunter2" not in str(error.value)
