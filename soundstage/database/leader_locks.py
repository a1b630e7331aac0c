"""Advisory locks of PostgreSQL by which one process of many, on any machine, is the leader of some work.

A lock belongs to a session of the server, which ends with its process or when the server no longer reaches
the machine. A leader that no longer reaches the server ends its own process before that, so that no two lead.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from soundstage.errors import Unavailable
from soundstage.tasks import cancel_all
from soundstage.telemetry import get_logger

HEARTBEAT_S = 2.0
LEASE_S = 8.0
"""So long after its last answer from the server a process takes itself for the leader."""
FIRST_TRY_S = 1.0
LOST_EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h: whoever supervises the process starts it again."""

# The server ends the session of a machine that is silent: 4 s + 3 times 2 s, so after the lease has ended. On
# a socket in the file system it ignores them.
_SESSION_SETTINGS = {
    "tcp_keepalives_idle": "4",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "idle_session_timeout": "0",
}

log = get_logger(__name__)


def exit_process(names: list[str]) -> None:
    """Ends this process at once, as `kill -9` would: another one may be the leader by now."""
    log.critical("leadership.lost", locks=names, exit_code=LOST_EXIT_CODE)
    os._exit(LOST_EXIT_CODE)


class AdvisoryLocks:
    """The advisory locks of one process, held by one connection that a heartbeat watches.

    A connection that breaks is opened again and its locks are acquired again. `on_lost` is called with their
    names when another process has one of them by then, or when the server does not answer for `lease_s`.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        on_lost: Callable[[list[str]], None] = exit_process,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        lease_s: float = LEASE_S,
    ) -> None:
        self._engine = engine
        self._on_lost = on_lost
        self._heartbeat_s, self._lease_s = heartbeat_s, lease_s
        self._holders: dict[str, AdvisoryLock] = {}
        self._connection: AsyncConnection | None = None
        self._using = asyncio.Lock()
        self._answered_s = 0.0
        self._heartbeat: asyncio.Task[None] | None = None

    def is_held_by(self, lock: AdvisoryLock) -> bool:
        return self._holders.get(lock.name) is lock

    async def acquire(self, lock: AdvisoryLock) -> bool:
        """Returns False when another process, or another object of this one, holds it.

        Raises Unavailable when the server does not answer.
        """
        async with self._using:
            if (holder := self._holders.get(lock.name)) is not None:
                return holder is lock
            if not await self._try_lock(lock.name):
                return False
            self._holders[lock.name] = lock
        if self._heartbeat is None:
            self._heartbeat = asyncio.create_task(self._watch(), name="leader locks")
        return True

    async def is_locked(self, name: str) -> bool:
        """Returns whether any process holds it, this one too."""
        async with self._using:
            driver = await self._driver()
            return bool(await _answer(driver.fetchval(_IS_LOCKED, _key(name))))

    async def release(self, lock: AdvisoryLock) -> None:
        """Releases it; does nothing when `lock` does not hold it."""
        async with self._using:
            if not self.is_held_by(lock):
                return
            del self._holders[lock.name]
            with suppress(Unavailable):
                # A session that is gone holds nothing.
                driver = await self._driver()
                await _answer(driver.fetchval("SELECT pg_advisory_unlock($1)", _key(lock.name)))

    async def close(self) -> None:
        """Releases all locks and ends the session."""
        heartbeat, self._heartbeat = self._heartbeat, None
        await cancel_all([] if heartbeat is None else [heartbeat])
        async with self._using:
            if self._holders and self._connection is not None:
                # The server ends a session some time after its connection: the next leader need not wait.
                with suppress(Exception):
                    async with asyncio.timeout(1):
                        await (await self._driver()).execute("SELECT pg_advisory_unlock_all()")
            self._holders.clear()
            await self._disconnect()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            async with self._using:
                if self._holders and not await self._is_still_leader():
                    names, self._holders = sorted(self._holders), {}
                    await self._disconnect()
                    self._on_lost(names)

    async def _is_still_leader(self) -> bool:
        """Asks the server, again and again for the rest of the lease; acquires all locks again on a new
        connection.
        """
        lease_ends_s = self._answered_s + self._lease_s
        # Once at least, also after a pause of the whole process: a session that still answers kept its locks.
        while (left_s := lease_ends_s - time.monotonic()) > 0 or self._connection is not None:
            try:
                async with asyncio.timeout(max(left_s, FIRST_TRY_S)):
                    if self._connection is None:
                        return all([await self._try_lock(name) for name in self._holders])
                    await _answer((await self._driver()).fetchval("SELECT 1"))
                    self._answered_s = time.monotonic()
                    return True
            except Exception as error:
                # Whatever the reason, a lock that cannot be confirmed is lost at the end of the lease.
                log.warning("leadership.no_answer", error=str(error), left_s=round(left_s, 1))
                await self._disconnect()
                await asyncio.sleep(min(0.2, self._heartbeat_s))
        return False

    async def _try_lock(self, name: str) -> bool:
        driver = await self._driver()
        locked = bool(await _answer(driver.fetchval("SELECT pg_try_advisory_lock($1)", _key(name))))
        self._answered_s = time.monotonic()
        return locked

    async def _driver(self) -> Any:
        """Returns the driver's own connection: SQLAlchemy's would begin a transaction."""
        if self._connection is not None and not self._holders:
            # Nothing is lost with it. A broken one that holds locks is the heartbeat's to replace.
            used: Any = (await self._connection.get_raw_connection()).driver_connection
            if used is None or used.is_closed():
                await self._disconnect()
        if self._connection is None:
            connection = await self._engine.connect()
            try:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                for name, value in _SESSION_SETTINGS.items():
                    # The last needs PostgreSQL 14; servers that lack a setting have no such limit.
                    await _answer(driver.fetchval(_SET_IF_KNOWN, name, value))
            except BaseException:
                await connection.invalidate()
                await connection.close()
                raise
            self._connection = connection
            return driver
        return (await self._connection.get_raw_connection()).driver_connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        # The next user of the connection must not hold these locks, and a lost one does not answer.
        with suppress(Exception):
            async with asyncio.timeout(1):
                driver: Any = (await connection.get_raw_connection()).driver_connection
                driver.terminate()
                await connection.invalidate()
                await connection.close()


class AdvisoryLock:
    """One lock of `AdvisoryLocks`; see soundstage.background.LeaderLock."""

    def __init__(self, locks: AdvisoryLocks, name: str) -> None:
        self._locks = locks
        self.name = name

    @property
    def held(self) -> bool:
        return self._locks.is_held_by(self)

    async def acquire(self) -> bool:
        return await self._locks.acquire(self)

    async def is_locked(self) -> bool:
        return await self._locks.is_locked(self.name)

    async def release(self) -> None:
        await self._locks.release(self)


_SET_IF_KNOWN = "SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1"
_IS_LOCKED = """
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32 | objid::bigint) = $1
)
"""


def _key(name: str) -> int:
    """Returns the 64-bit key of a lock; positive, so that `pg_locks` shows it in two parts as it is."""
    digest = hashlib.sha256(f"soundstage leader {name}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


async def _answer(statement: Any) -> Any:
    """Awaits a statement of the driver; raises Unavailable where the connection is lost."""
    import asyncpg  # type: ignore[import-untyped]

    try:
        return await statement
    except (
        OSError,
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
        asyncpg.InterfaceError,
    ) as error:
        raise Unavailable(
            "database.unreachable",
            "The database does not answer.",
            "Check `database.url` and that the server runs.",
        ) from error
