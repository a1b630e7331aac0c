"""The writers of one process take SQLite's lock one after the other, in the order in which they came.

SQLite itself lets those who wait for its lock sleep and look again, up to a tenth of a second at a time and
in no order, which with many writers takes most of the time. Other processes are still met at its lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from soundstage.errors import Unavailable


@dataclass(slots=True)
class _Queue:
    """The writer and those that wait, in one event loop."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    writers: int = 0


class WriterQueue:
    """One for each database of a process; each event loop has its own queue."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
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
        # Most find nobody before them, and need no clock.
        patience = asyncio.timeout(self._patience_s) if queue.writers else nullcontext()
        queue.writers += 1
        try:
            try:
                async with patience:
                    await queue.lock.acquire()
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
