"""A database whose writers of this process wait in line; made by the composition root of this process.

SQLite lets one writer in at a time, and the others look again after pauses that grow. A thousand machines
that call at once would mostly sleep, and some would starve; in a line each comes when it is its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database
from soundstage.errors import Unavailable

# Of one who waits behind hundreds of short transactions; longer means that somebody is stuck.
LONGEST_WAIT_S = 60.0


class FairDatabase(Database):
    """As `Database`, with a line before `transaction()` where the database has none of its own (SQLite)."""

    def __init__(self, url: str, *, busy_timeout_ms: int) -> None:
        super().__init__(url, busy_timeout_ms=busy_timeout_ms)
        self._line = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        if not self.is_sqlite:
            async with super().transaction() as session:
                yield session
            return
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                await self._line.acquire()
        except TimeoutError as error:
            raise Unavailable(
                "database.busy",
                "Too many want to write at once.",
                "Try again; if it stays, look for a stuck soundstage process.",
            ) from error
        try:
            async with super().transaction() as session:
                yield session
        finally:
            self._line.release()
