"""Wakes the followers of the event log: at once for our own commits, by notification or poll for others'."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database
from soundstage.errors import SoundstageError
from soundstage.tasks import cancel_all, create_task_in
from soundstage.telemetry.logs import get_logger

# While notifications arrive, the poll only guards against a connection that died without an error.
GUARD_POLL_S = 10.0

_Waker = tuple[str | None, Callable[[], None]]


CHANNEL = "soundstage_events"


class Notifier:
    """Sends and receives the names of changed streams by NOTIFY and LISTEN on one channel.

    A name has at most 200 characters; a notification may have 8000 bytes.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        # Our own commits wake our own followers without a round trip over the database server.
        self._mine = secrets.token_hex(4)

    @property
    def supported(self) -> bool:
        """True when the database has notifications."""
        return self._db.supports_notify

    async def notify(self, session: AsyncSession, stream: str) -> None:
        """Notifies all processes of this stream when the transaction commits."""
        if self.supported:
            await self._db.notify(session, CHANNEL, f"{self._mine} {stream}")

    @asynccontextmanager
    async def listening(self, on_stream: Callable[[str], None]) -> AsyncIterator[asyncio.Event]:
        """Calls `on_stream` with the streams of others' commits; the yielded event is set when the
        connection is lost.

        Raises Unavailable when the database cannot be reached.
        """

        def on_notification(payload: str) -> None:
            who, _, stream = payload.partition(" ")
            if who != self._mine:
                on_stream(stream)

        async with self._db.listening(CHANNEL, on_notification) as lost:
            yield lost


class FollowerWakeups:
    """Shares one poll and one LISTEN among all followers: a hundred open pages cost the database as much as
    one.
    """

    def __init__(self, last_id: Callable[[], Awaitable[int]], poll_s: float, notifier: Notifier) -> None:
        self._last_id = last_id
        self._poll_s = poll_s
        self._notifier = notifier
        self._wakers: set[_Waker] = set()
        self._poller: asyncio.Task[None] | None = None
        self._pollers: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()
        self._log = get_logger(__name__)

    def wake(self, streams: Iterable[str]) -> None:
        """Wakes the followers of streams that have new events; also callable from other threads."""
        names = frozenset(streams)
        for stream, wake in tuple(self._wakers):
            if stream is None or stream in names:
                wake()

    @property
    def count(self) -> int:
        """Returns how many follow."""
        return len(self._wakers)

    @contextmanager
    def watch(self, stream: str | None) -> Iterator[asyncio.Event]:
        """Yields an event that is set when there may be something new in `stream` (None: in any)."""
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(woken.set)

        waker = (stream, wake)
        self._wakers.add(waker)
        if self._poller is None or self._poller.done() or self._stopped.is_set():
            self._stopped = asyncio.Event()
            # The previous poller may still wait for its last query.
            self._poller = create_task_in(self._pollers, self._watch(self._stopped), name="events: watch")
        try:
            yield woken
        finally:
            self._wakers.discard(waker)
            if not self._wakers:
                # Not cancelled: cancelling a running query makes the pool discard the connection.
                self._stopped.set()

    async def close(self) -> None:
        """Ends the pollers of this event loop and waits for their running queries."""
        self._stopped.set()
        loop = asyncio.get_running_loop()
        if polling := [task for task in self._pollers if task.get_loop() is loop]:
            await asyncio.wait(polling)

    async def _watch(self, ended: asyncio.Event) -> None:
        # The first poll always wakes: events between a follower's first read and this one are not lost.
        seen = -1
        while not ended.is_set():
            async with AsyncExitStack() as stack:
                # Before the poll, so that no event is missed between the two.
                lost = await self._listen(stack)
                while not ended.is_set():
                    seen = await self._poll(seen)
                    if lost is None:
                        # No notifications; if the database supports them, listening is tried again.
                        await _wait_any(self._poll_s, ended)
                        break
                    await _wait_any(max(self._poll_s, GUARD_POLL_S), ended, lost)
                    if lost.is_set():
                        break

    async def _listen(self, stack: AsyncExitStack) -> asyncio.Event | None:
        """Listens until the stack closes. Returns the event that is set when the connection is lost; None
        without one.
        """
        if not self._notifier.supported:
            return None
        try:
            return await stack.enter_async_context(self._notifier.listening(self._on_stream))
        except SoundstageError as error:
            self._log.warning("LISTEN failed; polling for events of other processes", code=error.code)
            return None

    async def _poll(self, seen: int) -> int:
        """Wakes all followers if there are events after the id `seen`; returns the newest id."""
        try:
            latest = await self._last_id()
        except SoundstageError as error:
            # A busy database ends neither the poll nor the streams that depend on it.
            self._log.warning("events cannot be read now", code=error.code, reason=error.message)
            return seen
        if latest != seen:
            for _, wake in tuple(self._wakers):
                wake()
        return latest

    def _on_stream(self, stream: str) -> None:
        self.wake((stream,))


async def _wait_any(at_most_s: float, *events: asyncio.Event) -> None:
    """Returns when one of the events is set, or after `at_most_s`."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=at_most_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_all(waiting)
