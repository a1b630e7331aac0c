"""One database and its transactions; made by the composition root, handed to every service."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from soundstage.database.base import Base
from soundstage.errors import Invalid, SoundstageError, StorageFull, Unavailable

# How long a writer waits for another process. Transactions here are short; ten seconds means trouble.
BUSY_TIMEOUT_MS = 10_000

_WRITES = "soundstage_writes"


class Database:
    """A connection pool with two doors: `session()` reads, `transaction()` writes and commits at its end.

    Nobody else commits: services take an `AsyncSession` and leave the end of the transaction to whoever
    opened it, which is the boundary of a request, a job or a command.
    """

    def __init__(self, url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self.url = _async_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine = _create_engine(self.url, self.is_sqlite, busy_timeout_ms)
        self._writing_engine = self._engine.execution_options(**{_WRITES: True})
        self._writing_tasks: set[asyncio.Task[Any] | None] = set()

    @property
    def path(self) -> Path | None:
        """The file of a SQLite database; None for any other."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @property
    def engine(self) -> AsyncEngine:
        """For migrations and health checks; services use `session()` and `transaction()`."""
        return self._engine

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Reads one consistent state; what was read can be used afterwards, what was written is dropped."""
        with _explained(self.url):
            async with AsyncSession(self._engine, expire_on_commit=False, autoflush=False) as session:
                yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Writes: commits when the block ends well, rolls back when it raises.

        Raises RuntimeError when this task has one open already: on SQLite the two would block each other.
        """
        task = asyncio.current_task()
        if task in self._writing_tasks:
            raise RuntimeError(
                "a transaction is open already: hand its session on instead of opening another"
            )
        self._writing_tasks.add(task)
        try:
            with _explained(self.url):
                async with AsyncSession(self._writing_engine, expire_on_commit=False) as session:
                    session.info[_WRITES] = True
                    # Begins now, not at the first statement: what decides is read under the lock.
                    async with session.begin():
                        await session.connection()
                        yield session
        finally:
            self._writing_tasks.discard(task)

    async def create_tables(self) -> None:
        """Makes the tables of `Base` that are not there yet. For tests; upgrades are migrations."""
        with _explained(self.url):
            async with self._writing_engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)

    async def close(self) -> None:
        """Closes all connections; SQLite then folds its WAL file into the database."""
        await self._engine.dispose()


def in_transaction(session: AsyncSession) -> bool:
    """Whether the session comes from `Database.transaction()`."""
    return bool(session.info.get(_WRITES))


def _async_url(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise Invalid(
            "database.url_invalid",
            "The database URL cannot be read.",
            "Write sqlite:///state/soundstage.db or postgresql://user:password@host/name.",
        ) from error
    drivers = {
        "sqlite": "sqlite+aiosqlite",
        "postgresql": "postgresql+asyncpg",
        "postgres": "postgresql+asyncpg",
    }
    return url.set(drivername=drivers.get(url.drivername, url.drivername))


def _create_engine(url: URL, is_sqlite: bool, busy_timeout_ms: int) -> AsyncEngine:
    if is_sqlite and url.database and url.database != ":memory:":
        path = Path(url.database)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_open(url) from error
        if path.is_dir():
            raise _cannot_open(url)
    try:
        engine = create_async_engine(url, pool_pre_ping=not is_sqlite)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise Unavailable(
            "database.driver_missing",
            f"There is no driver for a {url.get_backend_name()} database in this installation.",
            "For PostgreSQL install the package asyncpg, or use a sqlite:/// URL.",
        ) from error
    if is_sqlite:
        _set_up_sqlite(engine, busy_timeout_ms)
    return engine


def _set_up_sqlite(engine: AsyncEngine, busy_timeout_ms: int) -> None:
    def on_connect(dbapi_connection: Any, _record: Any) -> None:
        # Takes the driver's own, late BEGIN away; ours follows below.
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        try:
            # The timeout comes first: switching to WAL needs a lock itself when two processes start together.
            cursor.execute(f"PRAGMA busy_timeout = {int(busy_timeout_ms)}")
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = NORMAL")
            cursor.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            # The pool does not know this connection yet, and its thread would outlive us.
            dbapi_connection.close()
            raise
        cursor.close()

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


@contextmanager
def _explained(url: URL) -> Iterator[None]:
    """Turns what the driver says into an error that a person can act on."""
    try:
        yield
    except DBAPIError as error:
        if (known := _known(error, url)) is not None:
            raise known from error
        raise


def _known(error: DBAPIError, url: URL) -> SoundstageError | None:
    text = str(error.orig).lower()
    if "database is locked" in text or "database table is locked" in text:
        return Unavailable(
            "database.busy",
            "Another process has been writing to the database for too long.",
            "Try again; if it stays, look for a stuck soundstage process.",
        )
    if "disk is full" in text or "no space left" in text:
        return StorageFull(
            "database.disk_full",
            "The disk that holds the database is full.",
            "Free some space; `soundstage gc` removes files that nothing refers to.",
        )
    if "unable to open database file" in text or "readonly database" in text:
        return _cannot_open(url)
    if "no such table" in text or "no such column" in text or "undefinedtable" in text:
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
    if "connection refused" in text or error.connection_invalidated:
        return Unavailable(
            "database.unreachable",
            "The database does not answer.",
            "Check `database.url` and that the server runs.",
        )
    return None


def _cannot_open(url: URL) -> Unavailable:
    return Unavailable(
        "database.cannot_open",
        f"The database file {url.database} cannot be opened for writing.",
        "Check that its folder exists and belongs to the user who runs soundstage.",
    )
