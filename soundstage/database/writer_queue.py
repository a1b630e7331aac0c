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
class _Row:
    """Those who write or wait for it, in one event loop."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    people: int = 0


class WriterQueue:
    """One for each database of a process; each event loop has its own row."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._rows: WeakKeyDictionary[asyncio.AbstractEventLoop, _Row] = WeakKeyDictionary()

    @property
    def people(self) -> int:
        """How many write or wait for it, in this event loop."""
        row = self._rows.get(asyncio.get_running_loop())
        return 0 if row is None else row.people

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for one's turn; Unavailable `database.busy` when it does not come in time."""
        row = self._rows.setdefault(asyncio.get_running_loop(), _Row())
        # Most find nobody before them, and need no clock.
        patience = asyncio.timeout(self._patience_s) if row.people else nullcontext()
        row.people += 1
        try:
            try:
                async with patience:
                    await row.lock.acquire()
            except TimeoutError as error:
                raise Unavailable(
                    "database.busy",
                    "Another task has been writing to the database for too long.",
                    "Try again; if it stays, look for a stuck soundstage process.",
                ) from error
            try:
                yield
            finally:
                row.lock.release()
        finally:
            row.people -= 1
