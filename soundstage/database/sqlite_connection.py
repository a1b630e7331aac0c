"""SQLite connections that run a whole statement in one call to their thread; opened by `open_sqlite`.

aiosqlite makes four calls for a statement (cursor, execute, fetchall, close). Each wakes a thread that has to
wait for the interpreter's lock, which takes several times as long as reading or writing a row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import aiosqlite


class SingleCallCursor:
    """A cursor that is opened, executed, read to its end and closed in one call.

    SQLAlchemy reads every result whole anyway. A cancelled statement leaves no cursor open.
    """

    def __init__(self, connection: SingleCallConnection) -> None:
        self._connection = connection
        self._rows: Sequence[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> SingleCallCursor:
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> SingleCallCursor:
        await self._connection.call(self._run, sqlite3.Cursor.execute, sql, parameters or ())
        return self

    async def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> SingleCallCursor:
        await self._connection.call(self._run, sqlite3.Cursor.executemany, sql, list(parameters))
        return self

    async def fetchall(self) -> Sequence[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        self._rows = []

    def _run(self, raw: sqlite3.Connection, execute: Callable[..., Any], sql: str, parameters: Any) -> None:
        cursor = raw.cursor()
        try:
            execute(cursor, sql, parameters)
            self._rows = cursor.fetchall() if cursor.description else []
            self.description, self.rowcount = cursor.description, cursor.rowcount
            self.lastrowid = cursor.lastrowid
        finally:
            cursor.close()


class SingleCallConnection(aiosqlite.Connection):
    """A connection with `SingleCallCursor`s and a thread that ends with the process."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True

    def cursor(self) -> SingleCallCursor:  # type: ignore[override]
        return SingleCallCursor(self)

    async def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Calls `function(connection, *arguments)` on the connection's thread."""
        await self._execute(function, self._conn, *arguments)  # type: ignore[no-untyped-call]


def open_connection(
    database: str, *, prepare: Callable[[sqlite3.Connection], None], **options: Any
) -> SingleCallConnection:
    """Returns a connection to be awaited, as `aiosqlite.connect` does; its thread calls `prepare` first."""

    def connector() -> sqlite3.Connection:
        raw: sqlite3.Connection = sqlite3.connect(database, **options)
        try:
            prepare(raw)
        except BaseException:
            raw.close()
            raise
        return raw

    return SingleCallConnection(connector)
