"""Connections to SQLite that need one trip to their thread for a statement, or none where it is brief.

aiosqlite makes four. A trip costs several times what SQLite needs to find or add a row: two threads are
woken, and each waits for the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import aiosqlite

from soundstage.database.in_place import BRIEF_S, MOST_ROWS, Way, Ways

IN_A_ROW = 16
"""After so many statements in place others of the event loop have their turn."""
_LOOK_EVERY = 1000
"""SQLite's instructions between two looks at the clock; some twenty microseconds."""


class OneTripCursor:
    """A cursor that is made, run, read to its end and closed in one call.

    For SQLAlchemy, which reads every result whole anyway. One that is broken off leaves nothing open.
    """

    def __init__(self, connection: OneTripConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> OneTripCursor:
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> OneTripCursor:
        given = () if parameters is None else parameters
        way = self._connection.ways.of(sql, len(given))
        if way is Way.THREAD or not await self._connection.in_place(way, self._run, sql, given):
            await self._connection.on_its_thread(self._run, sql, given)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> OneTripCursor:
        rows = list(parameters)
        way = self._connection.ways.of(sql, len(rows[0]) if rows else 0)
        few = way is Way.ROW and len(rows) <= MOST_ROWS
        if not few or not await self._connection.in_place(way, self._run_many, sql, rows):
            await self._connection.on_its_thread(self._run_many, sql, rows)
        return self

    async def fetchall(self) -> Sequence[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        self._rows = []

    def _run(self, raw: sqlite3.Connection, sql: str, parameters: Any) -> None:
        cursor = raw.cursor()
        try:
            cursor.execute(sql, parameters)
            self._rows = cursor.fetchall() if cursor.description else []
            self._note(cursor)
        finally:
            cursor.close()

    def _run_many(self, raw: sqlite3.Connection, sql: str, parameters: Any) -> None:
        cursor = raw.cursor()
        try:
            cursor.executemany(sql, parameters)
            self._note(cursor)
        finally:
            cursor.close()

    def _note(self, cursor: sqlite3.Cursor) -> None:
        self.description, self.rowcount = cursor.description, cursor.rowcount
        self.lastrowid = cursor.lastrowid


class OneTripConnection(aiosqlite.Connection):
    """What `open_connection` gives to SQLAlchemy's dialect. The thread waits for locks of others; the event
    loop never does, and never asks while the thread is at work.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection], ways: Ways, patience_ms: int) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True
        self.ways = ways
        self._patience_ms = patience_ms
        # Each is counted by one thread only: what was given to the thread, and what it has done.
        self._given = 0
        self._done = 0
        self._in_a_row = 0

    def cursor(self) -> OneTripCursor:  # type: ignore[override]
        return OneTripCursor(self)

    async def on_its_thread(self, function: Any, *arguments: Any) -> None:
        """Calls `function(connection, *arguments)` where the connection lives."""
        await self._execute(function, self._conn, *arguments)

    async def in_place(self, way: Way, function: Any, sql: str, parameters: Any) -> bool:
        """Calls `function(connection, sql, parameters)` here; False when it is for the thread after all:
        others hold the lock, or it takes too long. It has done nothing then.
        """
        self._in_a_row += 1
        if self._in_a_row > IN_A_ROW:
            self._in_a_row = 0
            await asyncio.sleep(0)
        if not self._is_idle():
            return False
        raw, ends = self._conn, monotonic() + BRIEF_S
        if way is Way.QUERY:
            raw.set_progress_handler(lambda: monotonic() > ends, _LOOK_EVERY)
        try:
            function(raw, sql, parameters)
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_INTERRUPT:
                self.ways.was_slow(sql)
            elif code != sqlite3.SQLITE_BUSY:
                raise
            return False
        finally:
            if way is Way.QUERY:
                raw.set_progress_handler(None, 0)
        return True

    async def rollback(self) -> None:
        """What was not committed is in no place from which it would have to be fetched."""
        if self._is_idle():
            self._conn.rollback()
        else:
            await super().rollback()

    def _is_idle(self) -> bool:
        """Whether nothing is under way on the thread: a cancelled task leaves its statement there."""
        return self._running and self._given == self._done

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        self._given += 1
        return await super()._execute(self._patiently, fn, *args, **kwargs)  # type: ignore[no-untyped-call]

    def _patiently(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """On the thread: waits for the locks of other processes."""
        raw = self._connection
        try:
            if raw is not None:
                raw.execute(f"PRAGMA busy_timeout = {self._patience_ms}")
            return function(*arguments, **options)
        finally:
            if raw is not None:
                # Closed just now, maybe.
                with suppress(sqlite3.Error):
                    raw.execute("PRAGMA busy_timeout = 0")
            self._done += 1


def open_connection(
    database: str,
    *,
    prepare: Callable[[sqlite3.Connection], None],
    ways: Ways,
    patience_ms: int,
    **options: Any,
) -> OneTripConnection:
    """As `aiosqlite.connect`, to be awaited. Its thread ends with the process, and calls `prepare` first."""

    def connector() -> sqlite3.Connection:
        # Two threads use it, one after the other.
        made: sqlite3.Connection = sqlite3.connect(database, **{**options, "check_same_thread": False})
        try:
            prepare(made)
            made.execute("PRAGMA busy_timeout = 0")
        except BaseException:
            made.close()
            raise
        return made

    return OneTripConnection(connector, ways, patience_ms)
