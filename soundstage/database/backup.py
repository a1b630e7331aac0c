"""Copies of a SQLite database: taken while it is in use, put back only after a check; used by the CLI."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from soundstage.errors import Invalid, NotFound, StorageFull, Unavailable
from soundstage.private_files import sync_path

# Pages copied per step; between steps writers get their turn.
PAGES_PER_STEP = 1024
# https://www.sqlite.org/fileformat.html §1.3
HEADER = b"SQLite format 3\x00"


def backup_sqlite(database: Path, copy: Path) -> Path:
    """Writes a consistent copy of a database that others may be writing to, and checks it.

    Blocking; call it in a thread. The copy appears under its name only when it is whole.
    """
    if not database.is_file():
        raise NotFound("backup.no_database", f"There is no database at {database}.", "Check `database.url`.")
    copy.parent.mkdir(parents=True, exist_ok=True)
    half = copy.with_name(copy.name + ".part")
    half.unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(database, timeout=30)) as source,
            closing(sqlite3.connect(half)) as target,
        ):
            source.backup(target, pages=PAGES_PER_STEP)
            # The copy shall be one file; WAL mode comes back when it is opened for use.
            target.execute("PRAGMA journal_mode = DELETE")
        check_sqlite(half)
        sync_path(half)
        half.replace(copy)
        sync_path(copy.parent)
    except (sqlite3.Error, OSError) as error:
        raise StorageFull(
            "backup.failed",
            f"The backup could not be written: {error}.",
            f"Check the free space of {copy.parent}.",
        ) from error
    finally:
        with suppress(FileNotFoundError):
            half.unlink()
    return copy


def restore_sqlite(copy: Path, database: Path) -> Path | None:
    """Puts a checked copy in the place of `database`; returns the path of the one that was there.

    No other process may have the database open (`backup.database_in_use` otherwise). The copy itself stays.
    """
    check_sqlite(copy)
    database.parent.mkdir(parents=True, exist_ok=True)
    previous: Path | None = None
    half = database.with_name(database.name + ".restoring")
    half.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(half)) as target:
            source.backup(target)
        sync_path(half)
        if database.exists():
            _fold_wal(database)
            previous = database.with_name(database.name + ".before-restore")
            database.replace(previous)
        # A WAL file left over from the old database would be replayed into the new one.
        for leftover in ("-wal", "-shm"):
            database.with_name(database.name + leftover).unlink(missing_ok=True)
        half.replace(database)
        sync_path(database.parent)
    finally:
        with suppress(FileNotFoundError):
            half.unlink()
    return previous


def check_sqlite(path: Path) -> None:
    """Raises Invalid unless `path` is a whole SQLite database whose foreign keys all lead somewhere."""
    if not path.is_file():
        raise NotFound("backup.not_found", f"There is no file {path}.", "Check the path.")
    with path.open("rb") as file:
        header = file.read(len(HEADER))
    if header != HEADER:
        # SQLite itself takes an empty file for an empty database.
        raise Invalid("backup.damaged", f"{path} is not a SQLite database.", "Take another backup.")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            answer = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.DatabaseError as error:
        raise Invalid(
            "backup.damaged", f"{path} is not a whole SQLite database: {error}.", "Take another backup."
        ) from error
    if answer != "ok" or orphan is not None:
        found = answer if answer != "ok" else f"a row of {orphan[0]} refers to a missing row of {orphan[2]}"
        raise Invalid("backup.damaged", f"{path} is damaged: {found}.", "Take another backup.")


def _fold_wal(database: Path) -> None:
    """Moves what is in the WAL file into the database, which works only when no other process has it open."""
    with closing(sqlite3.connect(database, timeout=1, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise Unavailable(
                "backup.database_in_use",
                f"The database {database} is open in another process.",
                "Stop `soundstage up` first, then restore again.",
            ) from error
