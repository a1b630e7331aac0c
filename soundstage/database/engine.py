"""One database, its URL and its transactions; built by the composition root, passed to every service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import URL, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from soundstage.background import LeaderLock, ProcessLock
from soundstage.backoff import Backoff
from soundstage.database import postgresql
from soundstage.database.base import Base
from soundstage.database.leader_locks import AdvisoryLock, AdvisoryLocks
from soundstage.database.postgresql import OUTAGES, open_postgresql, translate_postgresql_error
from soundstage.database.slow import SLOW_S, record_slow, statement_name
from soundstage.database.sqlite import (
    check_foreign_keys,
    checkpoint_wal,
    foreign_keys_off,
    open_sqlite,
    translate_sqlite_error,
)
from soundstage.database.tenants import TenantSession
from soundstage.errors import Invalid, SoundstageError, Unavailable
from soundstage.tasks import finish
from soundstage.telemetry import metrics

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
# What asyncpg takes by these names; the rest of libpq's parameters it reads from PG* variables.
_POSTGRESQL_PARAMETERS = frozenset({"host", "port", "ssl", "passfile", "timeout", "target_session_attrs"})


@dataclass(slots=True)
class _Queue:
    """The writer and those that wait, in one event loop."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    writers: int = 0


class WriterQueue:
    """Lets the writers of a process take SQLite's lock one after the other, in the order in which they came.

    SQLite itself lets those who wait for its lock sleep and poll, up to a tenth of a second at a time and in
    no order, which with many writers takes most of the time. Other processes still meet at SQLite's lock.
    There is one for each database of a process; each event loop has its own queue.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()

    @property
    def writers(self) -> int:
        """Returns how many write or wait to, in this event loop."""
        queue = self._queues.get(asyncio.get_running_loop())
        return 0 if queue is None else queue.writers

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for one's turn; Unavailable `database.busy` when it does not come in time."""
        queue = self._queues.setdefault(asyncio.get_running_loop(), _Queue())
        # Most writers find the queue empty, and need no time-out.
        timeout = asyncio.timeout(self._timeout_s) if queue.writers else nullcontext()
        queue.writers += 1
        try:
            try:
                start = time.perf_counter()
                async with timeout:
                    await queue.lock.acquire()
                if (waited_s := time.perf_counter() - start) >= SLOW_S:
                    record_slow("wait for writers", waited_s, "sqlite")
            except TimeoutError as error:
                raise Unavailable(
                    "database.busy",
                    "Another task has been writing to the database for too long.",
                    "Try again; if it stays, look for a stuck soundstage process.",
                ) from error
            try:
                yield
            finally:
                queue.lock.release()
        finally:
            queue.writers -= 1


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Lets sessions and transactions of this context wait so long for a server that does not answer, or
    until a standby takes writes; else they raise Unavailable at once.
    """
    token = _patience_s.set(seconds)
    try:
        yield
    finally:
        _patience_s.reset(token)


async def _connect(session: AsyncSession) -> None:
    until_s, failures = time.monotonic() + _patience_s.get(), 0
    while True:
        try:
            await session.connection()
            return
        except (SoundstageError, DBAPIError) as error:
            found = translate_postgresql_error(error) if isinstance(error, DBAPIError) else error
            failures += 1
            delay_s = PATIENT_RETRIES.delay_s(failures)
            passes = isinstance(found, SoundstageError) and found.code in _PASSING
            if not passes or time.monotonic() + delay_s > until_s:
                raise
        await session.rollback()
        await asyncio.sleep(delay_s)


def database_url(text: str) -> URL:
    """The URL with the driver that we use. Raises Invalid, which never quotes it: it may hold a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise _unreadable("The database URL cannot be read.") from error
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    return _postgresql(url) if url.get_backend_name() == "postgresql" else url


def _postgresql(url: URL) -> URL:
    query = dict(url.query)
    if "sslmode" in query:
        # The name that every other program uses.
        query["ssl"] = query.pop("sslmode")
    if unknown := sorted(set(query) - _POSTGRESQL_PARAMETERS):
        raise _unreadable(f"The database URL has parameters that are not known: {', '.join(unknown)}.")
    if not url.database:
        raise _unreadable("The database URL names no database.")
    return url.set(query=query)


def _unreadable(message: str) -> Invalid:
    return Invalid(
        "database.url_invalid",
        message,
        "Write sqlite:///state/soundstage.db or postgresql://user@host/name?sslmode=verify-full.",
    )


# Begins wait for them in `patience`: a commit that waits for a lost standby keeps all writers from writing.
_PASSING = OUTAGES | {"database.busy"}
PATIENT_RETRIES = Backoff(first_s=0.2, longest_s=2.0)
_patience_s: ContextVar[float] = ContextVar("patience_s", default=0.0)

# How long a writer waits for another process. Transactions here are short; ten seconds means trouble.
BUSY_TIMEOUT_MS = 10_000

# How long a commit and the end of a session may take after their task was cancelled.
FINISH_TIMEOUT_S = 10.0

# So many writers in the queue make it congested.
CONGESTED_AT = 4

_WRITES = "soundstage_writes"
_COMMIT_HOOKS = "soundstage_commit_hooks"


class Database:
    """A connection pool: `session()` reads, `transaction()` writes and commits at its end.

    No other code commits: services take an `AsyncSession`, and the boundary of a request, a job or a command
    ends the transaction that it opened. One transaction writes at a time over all processes (SQLite: its
    write lock and a queue in each process; PostgreSQL: an advisory lock); a session never waits for it.
    """

    def __init__(
        self, url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS, writer_queue_timeout_s: float | None = None
    ) -> None:
        """`writer_queue_timeout_s`: how long a writer waits in the queue of this process; by default as long
        as for other processes, `busy_timeout_ms`.
        """
        self.url = database_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine, self._writing_engine = _open(self.url, busy_timeout_ms)
        # The writing engine of SQLite is the same one with an option.
        for engine in self.engines:
            _measure_statements(engine)
        self._writing_tasks: set[asyncio.Task[Any] | None] = set()
        if writer_queue_timeout_s is None:
            writer_queue_timeout_s = busy_timeout_ms / 1000
        self._queue = WriterQueue(writer_queue_timeout_s) if self.is_sqlite else None
        self._leader_locks = None if self.is_sqlite else AdvisoryLocks(self._engine)

    @property
    def path(self) -> Path | None:
        """The file of a SQLite database; None for any other."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @property
    def engine(self) -> AsyncEngine:
        """For health checks; services use `session()` and `transaction()`."""
        return self._engine

    @property
    def engines(self) -> tuple[AsyncEngine, ...]:
        """Returns those with events of their own: the writing engine of SQLite shares them."""
        return (self._engine,) if self.is_sqlite else (self._engine, self._writing_engine)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Reads one consistent state; what was read can be used afterwards, what was written is dropped."""
        with self._translated_errors():
            async with _session(self._engine, autoflush=False) as session:
                if _patience_s.get():
                    await _connect(session)
                yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Writes: commits when the block ends well, rolls back when it raises.

        Raises RuntimeError when this task has one open already: the two would block each other.
        """
        async with self._turn_to_write(), _session(self._writing_engine) as session:
            session.info[_WRITES] = True
            # Begins now, not at the first statement: reads that a write depends on happen under the lock.
            await _connect(session)
            yield session
            # The row is committed before its connection is back in the pool: what is cut off in between would
            # cost the pool the connection, and commit hooks would not run.
            await finish(_commit(session), FINISH_TIMEOUT_S)

    @asynccontextmanager
    async def _turn_to_write(self) -> AsyncIterator[None]:
        task = asyncio.current_task()
        if task in self._writing_tasks:
            raise RuntimeError(
                "a transaction is open already: hand its session on instead of opening another"
            )
        self._writing_tasks.add(task)
        try:
            with self._translated_errors():
                async with nullcontext() if self._queue is None else self._queue.turn():
                    yield
        finally:
            self._writing_tasks.discard(task)

    @property
    def writers(self) -> int:
        """Returns how many transactions of this process write or wait for their turn; 0 on PostgreSQL."""
        return 0 if self._queue is None else self._queue.writers

    @property
    def is_write_queue_congested(self) -> bool:
        """Returns whether so many writers queue that deferrable writes should wait; False on PostgreSQL."""
        return self.writers >= CONGESTED_AT

    @property
    def supports_notify(self) -> bool:
        """Returns whether processes are notified of commits (PostgreSQL); on others they have to poll."""
        return not self.is_sqlite

    async def notify(self, session: AsyncSession, channel: str, payload: str) -> None:
        """Sends `payload` (a few hundred bytes) to all listeners, when the transaction commits."""
        await session.execute(select(func.pg_notify(channel, payload)))

    @asynccontextmanager
    async def listening(
        self, channel: str, on_payload: Callable[[str], None]
    ) -> AsyncIterator[asyncio.Event]:
        """Calls `on_payload` with each payload; yields an event that is set when the connection is lost.

        Raises Unavailable when no connection can be opened.
        """
        if not self.supports_notify:
            raise RuntimeError("this database cannot notify; check `supports_notify` first")
        with self._translated_errors():
            async with postgresql.listening(self._engine, channel, on_payload) as connection_lost:
                yield connection_lost

    def leader_lock(self, name: str, folder: Path) -> LeaderLock:
        """Returns the lock of the one process that does some work on this database: a file in `folder`, or
        an advisory lock of PostgreSQL, which holds between machines.
        """
        if self._leader_locks is None:
            return ProcessLock(folder / f"{name}.lock")
        return AdvisoryLock(self._leader_locks, name)

    @asynccontextmanager
    async def schema_change(self) -> AsyncIterator[AsyncConnection]:
        """Yields the connection of a transaction in which migrations may replace tables.

        SQLite would delete, with a table that is about to be replaced, all that refers to its rows
        (https://sqlite.org/lang_altertable.html#otheralter). So foreign keys are off inside and checked at
        the end (`PRAGMA foreign_key_check`): RuntimeError when one is broken that was not broken before.
        """
        with self._translated_errors():
            async with (
                nullcontext() if self._queue is None else self._queue.turn(),
                self._writing_engine.connect() as connection,
                foreign_keys_off(connection) if self.is_sqlite else nullcontext(),
                connection.begin(),
            ):
                already_broken = await check_foreign_keys(connection) if self.is_sqlite else set()
                yield connection
                if self.is_sqlite and (broken := await check_foreign_keys(connection) - already_broken):
                    raise RuntimeError(f"rows were left without what they refer to: {sorted(broken)}")

    async def checkpoint_wal(self) -> None:
        """Moves committed pages from SQLite's WAL into the database file and truncates the WAL, in which old
        pages remain otherwise. Does nothing while others read or write, and on PostgreSQL.
        """
        if not self.is_sqlite:
            return
        with self._translated_errors():
            async with self._engine.connect() as connection:
                raw = (await connection.get_raw_connection()).driver_connection
                if raw is not None:
                    await raw.call(checkpoint_wal)

    async def create_tables(self) -> None:
        """Creates the tables of `Base` that do not exist yet. For tests; upgrades are migrations."""
        with self._translated_errors():
            async with self._writing_engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)

    async def close(self) -> None:
        """Closes all connections; SQLite then checkpoints its WAL."""
        if self._leader_locks is not None:
            await self._leader_locks.close()
        await self._writing_engine.dispose()
        await self._engine.dispose()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Raises errors of the driver as errors that a person can act on."""
        try:
            yield
        except DBAPIError as error:
            if (translated := self._translate(error)) is not None:
                raise translated from error
            raise
        except PoolTimeout as error:
            raise Unavailable(
                "database.busy",
                "Too many transactions want the database at once; no connection came free in time.",
                "Try again; if it stays, look for a stuck soundstage process.",
            ) from error

    def _translate(self, error: DBAPIError) -> SoundstageError | None:
        return (
            translate_sqlite_error(error, self.url) if self.is_sqlite else translate_postgresql_error(error)
        )


async def enable_secure_delete(session: AsyncSession) -> None:
    """Makes SQLite overwrite with zeros what this transaction deletes from now on (`PRAGMA secure_delete`).
    PostgreSQL keeps deleted rows until the table is vacuumed.
    """
    if session.get_bind().dialect.name == "sqlite":
        await session.execute(text("PRAGMA secure_delete = ON"))


@asynccontextmanager
async def _session(engine: AsyncEngine, *, autoflush: bool = True) -> AsyncIterator[AsyncSession]:
    session = AsyncSession(
        engine, sync_session_class=TenantSession, expire_on_commit=False, autoflush=autoflush
    )
    try:
        yield session
    finally:
        # A close that is cut off costs the pool its connection, with a traceback in the log.
        await finish(session.close(), FINISH_TIMEOUT_S)


def in_transaction(session: AsyncSession) -> bool:
    """Returns whether the session comes from `Database.transaction()`."""
    return bool(session.info.get(_WRITES))


def on_commit(session: AsyncSession, callback: Callable[[], None]) -> None:
    """Calls `callback` right after the commit of this transaction; never when it rolls back.

    Raises RuntimeError outside of `Database.transaction()`.
    """
    if not in_transaction(session):
        raise RuntimeError("only Database.transaction() commits")
    session.info.setdefault(_COMMIT_HOOKS, []).append(callback)


async def _commit(session: AsyncSession) -> None:
    await session.commit()
    for callback in session.info.get(_COMMIT_HOOKS, ()):
        callback()


def _open(url: URL, busy_timeout_ms: int) -> tuple[AsyncEngine, AsyncEngine]:
    match url.get_backend_name():
        case "sqlite":
            return open_sqlite(url, busy_timeout_ms)
        case "postgresql":
            return open_postgresql(url, busy_timeout_ms)
        case other:
            raise Unavailable(
                "database.driver_missing",
                f"There is no driver for a {other} database.",
                "Use a sqlite:/// or a postgresql:// URL.",
            )


def _measure_statements(engine: AsyncEngine) -> None:
    """Measures each statement, with the way to the thread or socket of the driver and back. A slow one
    becomes a span.
    """

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def begin(_c: Any, _cursor: Any, _text: str, _p: Any, context: Any, _many: bool) -> None:
        context.began_s = time.perf_counter()

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def end(_c: Any, _cursor: Any, statement: str, _p: Any, context: Any, _many: bool) -> None:
        seconds = time.perf_counter() - context.began_s
        metrics.DATABASE_SECONDS.observe(seconds, statement[:6].lower())
        if seconds >= SLOW_S:
            record_slow(statement_name(statement), seconds, engine.dialect.name)
