"""SQLite as the embedded database: WAL mode, one writer at a time who takes the lock before reading."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import aiosqlite
from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from soundstage.errors import SoundstageError, StorageFull, Unavailable

MAX_CONNECTIONS = 15
_WRITES = "soundstage_writes"


class SingleCallCursor:
    """A cursor that is opened, executed, read to its end and closed in one call.

    aiosqlite makes four calls for a statement (cursor, execute, fetchall, close). Each wakes a thread that
    has to wait for the interpreter's lock, which takes several times as long as reading or writing a row.
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


def open_sqlite(url: URL, busy_timeout_ms: int) -> tuple[AsyncEngine, AsyncEngine]:
    """Returns the engine that reads and the one that writes, which share one pool of connections."""
    in_a_file = bool(url.database) and url.database != ":memory:"
    if url.database and in_a_file:
        path = Path(url.database)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_open(url) from error
        if path.is_dir():
            raise _cannot_open(url)
    prepare = partial(_prepare, busy_timeout_ms=busy_timeout_ms)
    creator = partial(open_connection, prepare=prepare)
    # A connection is a thread: the pool keeps those that a peak needed, and reuses the last used first.
    pool = {"pool_size": MAX_CONNECTIONS, "max_overflow": 0, "pool_use_lifo": True} if in_a_file else {}
    engine = create_async_engine(url, connect_args={"async_creator_fn": creator}, **pool)
    _listen(engine)
    return engine, engine.execution_options(**{_WRITES: True})


def translate_sqlite_error(error: DBAPIError, url: URL) -> SoundstageError | None:
    """Returns an error that a person can act on for one of the driver; None for an unexpected one."""
    text = str(error.orig).lower()
    if "database is locked" in text or "database table is locked" in text:
        return Unavailable(
            "database.busy",
            "Another process has been writing to the database for too long.",
            "Try again; if it stays, look for a stuck soundstage process.",
        )
    if "disk is full" in text:
        return StorageFull(
            "database.disk_full",
            "The disk that holds the database is full.",
            "Free some space; `soundstage gc` removes files that nothing refers to.",
        )
    if "unable to open database file" in text or "readonly database" in text:
        return _cannot_open(url)
    if "no such table" in text or "no such column" in text:
        return Unavailable(
            "database.not_migrated",
            "The database has not the tables that this version needs.",
            "Run `soundstage migrate`.",
        )
    if "file is not a database" in text or "malformed" in text:
        return Unavailable(
            "database.damaged",
            f"The file {url.database} is damaged or no database.",
            "Restore a backup with `soundstage restore`.",
        )
    return None


def checkpoint_wal(raw: sqlite3.Connection) -> None:
    """Truncates the WAL unless others use it; on the connection's thread, outside of a transaction."""
    ((busy_timeout_ms,),) = raw.execute("PRAGMA busy_timeout").fetchall()
    raw.execute("PRAGMA busy_timeout = 0")
    try:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        raw.execute(f"PRAGMA busy_timeout = {int(busy_timeout_ms)}")


@asynccontextmanager
async def foreign_keys_off(connection: AsyncConnection) -> AsyncIterator[None]:
    """Switches foreign keys off on this connection. Enter it before the transaction begins: within one SQLite
    ignores the setting.
    """
    raw = (await connection.get_raw_connection()).driver_connection
    if raw is None:
        raise RuntimeError("the connection is closed")
    await raw.call(_keep_references, False)
    try:
        yield
    finally:
        await raw.call(_keep_references, True)


async def check_foreign_keys(connection: AsyncConnection) -> set[tuple[Any, ...]]:
    """Returns table, row, parent table and key number of each broken foreign key."""
    return {tuple(row) for row in await connection.exec_driver_sql("PRAGMA foreign_key_check")}


def _keep_references(raw: sqlite3.Connection, on: bool) -> None:
    raw.execute(f"PRAGMA foreign_keys = {'ON' if on else 'OFF'}")
    if bool(raw.execute("PRAGMA foreign_keys").fetchone()[0]) is not on:
        raise RuntimeError("SQLite ignored the setting: a transaction is open")


def _prepare(raw: sqlite3.Connection, busy_timeout_ms: int) -> None:
    raw.execute(f"PRAGMA busy_timeout = {int(busy_timeout_ms)}")
    _switch_to_wal(raw, timeout_s=busy_timeout_ms / 1000)
    raw.execute("PRAGMA synchronous = NORMAL")
    raw.execute("PRAGMA foreign_keys = ON")


def _switch_to_wal(raw: sqlite3.Connection, timeout_s: float) -> None:
    """Of several who open a new file at once, each has read it and wants it alone: SQLite refuses all but one
    on the spot, whatever the busy timeout, since waiting could not end. Callers retry.
    """
    ends = monotonic() + timeout_s
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > ends:
                raise
        sleep(0.005)


def _listen(engine: AsyncEngine) -> None:
    def on_connect(dbapi_connection: Any, _record: Any) -> None:
        # Takes the driver's own, late BEGIN away; ours follows below.
        dbapi_connection.isolation_level = None

    def on_begin(connection: Connection) -> None:
        # A writer takes the lock at once. A transaction that reads first and writes later fails on the spot
        # when another process wrote in between, whatever the timeout (SQLITE_BUSY_SNAPSHOT).
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def on_invalidate(dbapi_connection: Any, _record: Any, _error: BaseException | None) -> None:
        # A task was cancelled in the middle of a statement. SQLite keeps a closed connection, and its lock,
        # alive while a cursor that is still referred to (by a traceback) has not been read to its end.
        # A connection that is broken itself has nothing to roll back.
        with suppress(sqlite3.Error):
            dbapi_connection.rollback()

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "invalidate", on_invalidate)
    event.listen(engine.sync_engine, "begin", on_begin)


def _cannot_open(url: URL) -> Unavailable:
    return Unavailable(
        "database.cannot_open",
        f"The database file {url.database} cannot be opened for writing.",
        "Check that its folder exists and belongs to the user who runs soundstage.",
    )
