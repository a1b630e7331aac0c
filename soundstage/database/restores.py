"""Reads and writes the mark of a PostgreSQL database that a backup was loaded into.

The mark is a comment on the database (`COMMENT ON DATABASE`), which no dump holds; `soundstage-backup`
writes it, with an id, while nobody else may connect. The first process that has closed what was open in the
backup notes that in the mark; the id stays, so that every other process learns of the restore, too. SQLite
has no mark: a command finishes its restore, with the process stopped.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from soundstage.database.engine import Database
from soundstage.database.leader_locks import LOST_EXIT_CODE
from soundstage.telemetry import get_logger

LOADED, CLOSED = "loaded from", "closed after"
_MARK = re.compile(rf"soundstage: (?P<stage>{LOADED}|{CLOSED}) backup (?P<id>[0-9a-f]+)")
_READ = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
# The id holds hexadecimal digits alone.
_CLOSE = """
DO $$ BEGIN
  EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), 'soundstage: {stage} backup {id}');
END $$
"""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Restore:
    """The last restore of a database. `is_open`: nobody has closed yet what was open in the backup."""

    id: str
    is_open: bool

    @classmethod
    def parse(cls, comment: str | None) -> Restore | None:
        """Returns None for a comment that is no mark."""
        found = _MARK.fullmatch(comment or "")
        return found and cls(found["id"], found["stage"] == LOADED)


async def find_restore(database: Database) -> Restore | None:
    """Returns the last restore; None where there was none, and for SQLite."""
    if database.is_sqlite:
        return None
    async with database.session() as session:
        return Restore.parse(await session.scalar(text(_READ)))


async def note_closed(database: Database) -> Restore | None:
    """Notes that what was open in the backup is closed; returns the restore that was open, else None."""
    restore = await find_restore(database)
    if restore is None or not restore.is_open:
        return None
    async with database.transaction() as session:
        await session.execute(text(_CLOSE.format(stage=CLOSED, id=restore.id)))
    return restore


@asynccontextmanager
async def restore_lock(database: Database) -> AsyncIterator[None]:
    """Waits until no other process finishes a restore of this PostgreSQL database, and has others wait."""
    async with database.engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('soundstage restore'))"))
        yield


def exit_when_restored(database: Database, known: Restore | None) -> None:
    """Ends this process with exit code 75 when another backup than `known` is loaded under it, before its
    first statement on the other rows: a restore closes all connections, and each new one reads the mark.
    """
    known_id = known.id if known else ""
    for engine in () if database.is_sqlite else database.engines:
        _read_mark_on_connect(engine, known_id)


def _read_mark_on_connect(engine: AsyncEngine, known_id: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def read(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(_READ)
        (comment,) = cursor.fetchone()
        cursor.close()
        connection.rollback()
        found = Restore.parse(comment)
        if found is not None and found.id != known_id:
            log.critical("database.restored", exit_code=LOST_EXIT_CODE)
            os._exit(LOST_EXIT_CODE)
