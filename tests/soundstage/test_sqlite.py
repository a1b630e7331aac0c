"""What is particular to SQLite: its file, its mode, and what can be wrong with them."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from soundstage.database import Database
from soundstage.errors import SoundstageError, Unavailable


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
