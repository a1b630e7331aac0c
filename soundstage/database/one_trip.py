"""Connections to SQLite that need one trip to their thread for a statement, where aiosqlite needs four."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import aiosqlite


class OneTripCursor:
    """A cursor that is made, run, read to its end and closed in one call on the thread of its connection.

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

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> OneTripCursor:
        await self._connection.on_its_thread(self._run, sql, () if parameters is None else parameters)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> OneTripCursor:
        await self._connection.on_its_thread(self._run_many, sql, parameters)
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
    """What `open_connection` gives to SQLAlchemy's dialect."""

    def cursor(self) -> OneTripCursor:  # type: ignore[override]
        return OneTripCursor(self)

    async def on_its_thread(self, function: Any, *arguments: Any) -> None:
        """Calls `function(connection, *arguments)` where the connection lives."""
        await self._execute(function, self._conn, *arguments)  # type: ignore[no-untyped-call]


def open_connection(
    database: str, *, prepare: Callable[[sqlite3.Connection], None], **options: Any
) -> OneTripConnection:
    """As `aiosqlite.connect`: to be awaited. Its thread, which ends with the process, calls `prepare` first."""

    def connector() -> sqlite3.Connection:
        made: sqlite3.Connection = sqlite3.connect(database, **options)
        try:
            prepare(made)
        except BaseException:
            made.close()
            raise
        return made

    connection = OneTripConnection(connector, iter_chunk_size=64)
    connection._thread.daemon = True
    return connection
