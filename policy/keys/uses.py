"""Notes when keys were last used; told by the authenticator of every request."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from policy.keys.repository import mark_used
from soundstage.database import Database, utcnow
from soundstage.errors import Unavailable
from soundstage.telemetry import get_logger

USED_EVERY = timedelta(minutes=1)
"""Enough for "is this key still in use", cheap enough for every request."""
TOGETHER_S = 0.5


class KeyUses:
    """A key that comes after a quiet while is noted at once; those that come in one rush, together."""

    def __init__(self, db: Database) -> None:
        self._db = db
        # When each was last noted, in seconds of the monotonic clock; one entry per key.
        self._noted: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._written_s = float("-inf")
        self._later: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None
        self._writing: set[asyncio.Task[None]] = set()

    async def note(self, key_id: str) -> None:
        """To the minute: reading must not wait for the lock of writers at every request."""
        now = time.monotonic()
        if now - self._noted.get(key_id, float("-inf")) < USED_EVERY.total_seconds():
            return
        self._noted[key_id] = now
        self._waiting.add(key_id)
        loop = asyncio.get_running_loop()
        if self._later is not None and self._later[0] is loop:
            return
        wait_s = self._written_s + TOGETHER_S - now
        if wait_s > 0:
            self._later = (loop, loop.call_later(wait_s, self._begin))
        else:
            await self.settle()

    async def settle(self) -> None:
        """Writes what is noted and not written yet."""
        later, self._later = self._later, None
        if later is not None:
            later[1].cancel()
        keys, self._waiting = self._waiting, set()
        if not keys:
            return
        self._written_s = time.monotonic()
        try:
            async with self._db.transaction() as session:
                now = utcnow()
                await mark_used(session, keys, now, now - USED_EVERY)
        except Unavailable as error:
            # Somebody else writes for long; a missing note must not turn a good key away.
            get_logger(__name__).warning("uses of keys were not noted", keys=len(keys), reason=error.code)

    async def close(self) -> None:
        """Write what is noted; when it returns, no note uses the database any more."""
        await self.settle()
        loop = asyncio.get_running_loop()
        if writing := [task for task in self._writing if task.get_loop() is loop]:
            await asyncio.wait(writing)

    def _begin(self) -> None:
        task = asyncio.create_task(self.settle(), name="keys: note uses")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
