"""The writers of one process take SQLite's lock one after the other, in the order in which they came.

SQLite itself lets those who wait for its lock sleep and look again, up to a tenth of a second at a time and
in no order, which with many writers takes most of the time. Other processes are still met at its lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from soundstage.errors import Unavailable


class WriterQueue:
    """One for each database of a process; each event loop has its own row."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for one's turn; Unavailable `database.busy` when it does not come in time."""
        lock = self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        try:
            async with asyncio.timeout(self._patience_s):
                await lock.acquire()
        except TimeoutError as error:
            raise Unavailable(
                "database.busy",
                "Another task has been writing to the database for too long.",
                "Try again; if it stays, look for a stuck soundstage process.",
            ) from error
        try:
            yield
        finally:
            lock.release()
