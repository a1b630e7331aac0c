"""Begins and ends transactions of prepared statements on connections of their own; used by `Database`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy import Dialect

from soundstage.database.one_trip import OneTripConnection
from soundstage.database.prepared import Brief, explained


class BriefTransactions:
    """Those of one SQLite file. One writes at a time, so that one connection serves an event loop."""

    def __init__(self, connect: Callable[[], OneTripConnection], dialect: Dialect) -> None:
        self._connect = connect
        self._dialect = dialect
        self._free: list[OneTripConnection] = []

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[Brief]:
        """Commits when the block ends well, rolls back when it raises. Raises `DBAPIError`."""
        with explained("BEGIN IMMEDIATE"):
            connection = self._free.pop() if self._free else await self._opened()
        try:
            with explained("BEGIN IMMEDIATE"):
                await connection.cursor().execute("BEGIN IMMEDIATE")
            yield Brief(connection, self._dialect)
            # On its thread: now and then SQLite waits for the disk there.
            with explained("COMMIT"):
                await connection.commit()
        except BaseException:
            # Shielded: what is cancelled twice lets go of the lock, too.
            await asyncio.shield(self._undo(connection))
            raise
        self._free.append(connection)

    async def _opened(self) -> OneTripConnection:
        connection = self._connect()
        await connection
        return connection

    async def close(self) -> None:
        free, self._free = self._free, []
        for connection in free:
            await connection.close()

    async def _undo(self, connection: OneTripConnection) -> None:
        """A connection that cannot even roll back is closed, which does it."""
        try:
            await connection.rollback()
        except Exception:
            await connection.close()
        else:
            self._free.append(connection)
