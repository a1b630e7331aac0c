from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from soundstage.database import Database, backup_sqlite, check_sqlite, restore_sqlite
from soundstage.errors import Invalid, NotFound, SoundstageError, Unavailable
from soundstage.events import EventStore


async def append(db: Database, events: EventStore, count: int) -> None:
    for number in range(count):
        async with db.transaction() as session:
            await events.append(session, "s", "k", {"number": number})


def count(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])


async def test_a_backup_is_taken_while_others_write(db: Database, events: EventStore, tmp_path: Path) -> None:
    assert db.path is not None
    await append(db, events, 50)
    is_copied = False

    async def write() -> int:
        number = 0
        while not is_copied:
            await append(db, events, 1)
            number += 1
        return number

    writing = asyncio.create_task(write())
    copy = await asyncio.to_thread(backup_sqlite, db.path, tmp_path / "backups" / "copy.db")
    is_copied = True
    written = await writing
    assert written > 0
    assert 50 <= count(copy) <= 50 + written
    assert [found.name for found in copy.parent.iterdir()] == ["copy.db"]


async def test_a_restored_backup_holds_what_was_there_and_keeps_the_old_file(
    db: Database, events: EventStore, tmp_path: Path
) -> None:
    path = db.path
    assert path is not None
    await append(db, events, 3)
    copy = backup_sqlite(path, tmp_path / "copy.db")
    await append(db, events, 4)
    await db.close()
    stored = restore_sqlite(copy, path)
    assert stored is not None and count(stored) == 7
    again = Database(str(db.url))
    found = await EventStore(again).read()
    await again.close()
    assert [event.data["number"] for event in found] == [0, 1, 2]
    assert copy.is_file()


async def test_a_wal_of_the_old_database_is_not_replayed_into_the_new_one(
    db: Database, events: EventStore, tmp_path: Path
) -> None:
    path = db.path
    assert path is not None
    await append(db, events, 1)
    copy = backup_sqlite(path, tmp_path / "copy.db")
    await append(db, events, 5)
    wal = path.with_name(path.name + "-wal").read_bytes()
    assert wal
    await db.close()
    # As a process that was killed leaves it.
    path.with_name(path.name + "-wal").write_bytes(wal)
    restore_sqlite(copy, path)
    assert count(path) == 1


async def test_a_backup_is_restored_where_nothing_was(
    db: Database, events: EventStore, tmp_path: Path
) -> None:
    assert db.path is not None
    await append(db, events, 2)
    copy = backup_sqlite(db.path, tmp_path / "copy.db")
    assert restore_sqlite(copy, tmp_path / "elsewhere" / "new.db") is None
    assert count(tmp_path / "elsewhere" / "new.db") == 2


async def test_a_database_in_use_is_not_replaced(db: Database, events: EventStore, tmp_path: Path) -> None:
    assert db.path is not None
    await append(db, events, 2)
    copy = backup_sqlite(db.path, tmp_path / "copy.db")
    await append(db, events, 1)
    with pytest.raises(Unavailable) as error:
        restore_sqlite(copy, db.path)
    assert error.value.code == "backup.database_in_use"
    assert len(await events.read()) == 3


async def test_a_damaged_copy_is_refused_and_the_database_stays(
    db: Database, events: EventStore, tmp_path: Path
) -> None:
    path = db.path
    assert path is not None
    await append(db, events, 200)
    copy = backup_sqlite(path, tmp_path / "copy.db")
    await db.close()
    before = path.read_bytes()
    whole = copy.read_bytes()
    for damaged in (
        whole[: len(whole) // 2],
        whole[:4096] + b"\xff" * 8192 + whole[12288:],
        b"no database",
        b"\x00",
    ):
        copy.write_bytes(damaged)
        with pytest.raises(Invalid) as error:
            restore_sqlite(copy, path)
        assert error.value.code == "backup.damaged"
    assert path.read_bytes() == before


def test_a_row_without_its_parent_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE parents (id INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE children (parent INTEGER REFERENCES parents (id))")
        connection.execute("INSERT INTO children VALUES (1)")
    with pytest.raises(Invalid, match="missing row of parents"):
        check_sqlite(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as error:
        backup_sqlite(tmp_path / "none.db", tmp_path / "copy.db")
    assert error.value.code == "backup.no_database"
    with pytest.raises(NotFound) as error:
        restore_sqlite(tmp_path / "none.db", tmp_path / "new.db")
    assert error.value.code == "backup.not_found"
    assert list(tmp_path.iterdir()) == []


def leftovers(folder: Path) -> list[Path]:
    return list(folder.glob("*.part"))


async def test_a_backup_that_cannot_be_written_leaves_nothing(db: Database, tmp_path: Path) -> None:
    assert db.path is not None
    (tmp_path / "copy.db").mkdir()
    with pytest.raises(SoundstageError) as error:
        backup_sqlite(db.path, tmp_path / "copy.db")
    assert error.value.code == "backup.failed"
    assert leftovers(tmp_path) == []
