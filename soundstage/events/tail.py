"""Wakes the followers of the event log: at once for our own commits, by one shared poll for others'."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from soundstage.errors import SoundstageError
from soundstage.telemetry.logs import get_logger


class Tail:
    """One poll for all followers: a hundred open pages cost the database as much as one."""

    def __init__(self, last_id: Callable[[], Awaitable[int]], poll_s: float) -> None:
        self._last_id = last_id
        self._poll_s = poll_s
        self._wakers: set[Callable[[], None]] = set()
        self._poller: asyncio.Task[None] | None = None
        self._nobody = asyncio.Event()
        self._log = get_logger(__name__)

    def wake(self) -> None:
        """Something was committed; also callable from other threads."""
        for wake in tuple(self._wakers):
            wake()

    @property
    def watching(self) -> bool:
        """Whether anybody follows, and the poll therefore runs."""
        return bool(self._wakers)

    @contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever there may be something new. Inside, the poll runs."""
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(woken.set)

        self._wakers.add(wake)
        if self._poller is None or self._poller.done() or self._nobody.is_set():
            self._nobody = asyncio.Event()
            self._poller = asyncio.create_task(self._poll(self._nobody), name="events: poll")
        try:
            yield woken
        finally:
            self._wakers.discard(wake)
            if not self._wakers:
                # Not cancelled: a query that is broken off costs the pool its connection.
                self._nobody.set()

    async def _poll(self, ended: asyncio.Event) -> None:
        # The first look always wakes: what came between a follower's first read and this one is not lost.
        seen = -1
        while not ended.is_set():
            try:
                latest = await self._last_id()
            except SoundstageError as error:
                # A busy database ends neither the poll nor the streams that hang on it.
                self._log.warning("events cannot be read now", code=error.code, reason=error.message)
            else:
                if latest != seen:
                    seen = latest
                    self.wake()
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), self._poll_s)
