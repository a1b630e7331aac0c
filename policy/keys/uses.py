"""Records `last_used_at` of API keys, batched; called for every authenticated request."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from policy.keys.repository import mark_used
from soundstage.database import Database, utcnow
from soundstage.errors import Unavailable
from soundstage.tasks import create_task_in
from soundstage.telemetry import get_logger

RESOLUTION = timedelta(minutes=1)
"""Enough for "is this key still in use", cheap enough for every request."""
BATCH_S = 0.5


class KeyUses:
    """Writes the first use of a quiet time at once, and uses that follow soon in one transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db
        # Time of each key's last recorded use, in seconds of the monotonic clock.
        self._last_use_at: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._last_write_at = float("-inf")
        self._timer: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None
        self._writing: set[asyncio.Task[None]] = set()

    async def note(self, key_id: str) -> None:
        """Records a use, once a minute and key: requests must not wait for the write lock each time."""
        now = time.monotonic()
        if now - self._last_use_at.get(key_id, float("-inf")) < RESOLUTION.total_seconds():
            return
        self._last_use_at[key_id] = now
        self._waiting.add(key_id)
        loop = asyncio.get_running_loop()
        if self._timer is not None and self._timer[0] is loop:
            return
        wait_s = self._last_write_at + BATCH_S - now
        if wait_s > 0:
            self._timer = (loop, loop.call_later(wait_s, self._begin))
        else:
            await self.flush()

    async def flush(self) -> None:
        """Writes the recorded uses that are not in the database yet."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer[1].cancel()
        keys, self._waiting = self._waiting, set()
        if not keys:
            return
        self._last_write_at = time.monotonic()
        try:
            async with self._db.transaction() as session:
                now = utcnow()
                await mark_used(session, keys, now, now - RESOLUTION)
        except Unavailable as error:
            # The database is locked; failing to record a use must not reject a valid key.
            get_logger(__name__).warning(
                "last use of API keys not recorded", keys=len(keys), reason=error.code
            )

    async def close(self) -> None:
        """Flushes, and waits for writes in progress."""
        await self.flush()
        loop = asyncio.get_running_loop()
        if writing := [task for task in self._writing if task.get_loop() is loop]:
            await asyncio.wait(writing)

    def _begin(self) -> None:
        create_task_in(self._writing, self.flush(), name="keys: note uses")
