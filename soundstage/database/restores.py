"""Marks a PostgreSQL database that a backup was loaded into, until what was open in it is closed.

The mark is a comment on the database (`COMMENT ON DATABASE`), which no dump holds; `soundstage-backup`
writes it while nobody else may connect. SQLite has none: a command finishes its restore, with the process
stopped.
"""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from soundstage.database.engine import Database
from soundstage.database.leader_locks import LOST_EXIT_CODE
from soundstage.telemetry import get_logger

MARK = "soundstage: loaded from a backup"
_READ = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
_CLEAR = "DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS NULL', current_database()); END $$"

log = get_logger(__name__)


async def is_restored(database: Database) -> bool:
    """Returns whether a backup was loaded that no process has finished yet; False for SQLite."""
    if database.is_sqlite:
        return False
    async with database.session() as session:
        return bool(await session.scalar(text(_READ)) == MARK)


async def clear_restored(database: Database) -> None:
    """Removes the mark: what was open in the backup is closed."""
    if not database.is_sqlite:
        async with database.transaction() as session:
            await session.execute(text(_CLEAR))


def exit_when_restored(database: Database) -> None:
    """Ends this process with exit code 75 when a backup is loaded under it, before its first statement on the
    other rows: a restore closes all connections, and each new one reads the mark first.
    """
    for engine in () if database.is_sqlite else database.engines:
        _read_mark_on_connect(engine)


def _read_mark_on_connect(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def read(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(_READ)
        (comment,) = cursor.fetchone()
        cursor.close()
        connection.rollback()
        if comment == MARK:
            log.critical("database.restored", exit_code=LOST_EXIT_CODE)
            os._exit(LOST_EXIT_CODE)
