"""Runs background work of a process: polls for due work when woken and every few seconds.

`Worker` calls one poll function; `ItemWorker` runs a step for each item that is due. Both log errors and go
on, and end at once when closed. Failed polls back off, longer with each failure. A failed step is retried
after a constant pause: `STEP_RETRY_S` for an `OSError` or `SoundstageError`, `LONGEST_RETRY_S` for a bug.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol, Self

from soundstage.backoff import Backoff
from soundstage.clock_jumps import ClockWatch
from soundstage.errors import SoundstageError
from soundstage.tasks import cancel_all
from soundstage.telemetry import get_logger, metrics
from soundstage.tracing import leave_trace

LOCK_RETRY_S = 1.0
STEP_RETRY_S = 1.0
LONGEST_RETRY_S = 10.0
UNBOUNDED = 1 << 31

Poll = Callable[[], Awaitable[float | None]]
"""Polls once. Returns the seconds until the next poll where they differ from `poll_s`."""
Due = Callable[[Collection[str], int], Awaitable[Sequence[str]]]
"""Returns ids that are due: none of those in flight, and not more than the number."""
Step = Callable[[str], Awaitable[None]]
"""Runs one step for one id and stores when the next is due. May be cancelled anywhere."""

log = get_logger(__name__)


async def until_set(event: asyncio.Event, max_s: float | None) -> None:
    """Until the event is set, or so many seconds are over; None waits as long as it takes.

    What `asyncio.wait_for` would do, which in Python 3.11 forgets a cancellation that comes with the event.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(max_s):
            await event.wait()


class LeaderLock(Protocol):
    """Lets one process at a time do something; released when that process dies, however it dies."""

    @property
    def held(self) -> bool:
        """Returns whether this object holds it."""

    async def acquire(self) -> bool:
        """Returns False when another process (or another object in this one) holds it."""

    async def is_locked(self) -> bool:
        """Returns whether any process holds it, this one too."""

    async def release(self) -> None:
        """Does nothing when it is not held."""


class ProcessLock:
    """A `LeaderLock` on one machine: an exclusive lock on a file, which the kernel releases."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    async def acquire(self) -> bool:
        if self._descriptor is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Close-on-exec (Python's default), or a worker would hold the lock of its dead parent.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    async def is_locked(self) -> bool:
        if self.held:
            return True
        free = await self.acquire()
        await self.release()
        return not free

    async def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Worker:
    """Polls at once, after each `wake`, and `poll_s` seconds after the last poll (None: only when woken).

    Only one process polls where there is a `lock`; the others wait for it. `context` returns the
    `contextvars.Context` that it runs in. `retries`: the delays after failed polls. `bring_forward` shortens
    stored waits, before a poll, by as much as the clock of this machine was set back.
    """

    def __init__(
        self,
        name: str,
        poll: Poll,
        *,
        poll_s: float | None = None,
        lock: LeaderLock | None = None,
        retries: Backoff | None = None,
        context: Callable[[], Context] = copy_context,
        bring_forward: Callable[[timedelta], Awaitable[None]] | None = None,
    ) -> None:
        self.name = name
        self.poll = poll
        self._clock = ClockWatch()
        self._bring_forward = bring_forward
        self._poll_s = poll_s
        first_s = 1.0 if poll_s is None else poll_s
        # Never sooner than without the failure.
        self._retries = retries or Backoff(first_s, max(first_s, LONGEST_RETRY_S), jitter=(1.0, 1.5))
        self._lock = lock
        self._context = context
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def holds_lock(self) -> bool:
        """True while this process is the one that polls."""
        return self._lock is not None and self._lock.held

    async def is_locked(self) -> bool:
        """Returns whether any process holds the lock."""
        return self._lock is not None and await self._lock.is_locked()

    def wake(self) -> None:
        """Starts the next poll now: there may be something new."""
        self._woken.set()

    async def start(self) -> None:
        if self._task is None:
            context = self._context()
            # Whichever request starts it, what it does later is no part of that.
            context.run(leave_trace)
            self._task = asyncio.create_task(self._run(), name=self.name, context=context)

    async def close(self) -> None:
        """Cancels a running poll, waits until it has ended, and releases the lock."""
        await self._stop_polling()
        await self._release()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _stop_polling(self) -> None:
        task, self._task = self._task, None
        await cancel_all([] if task is None else [task])

    async def _release(self) -> None:
        if self._lock is not None:
            await self._lock.release()

    async def _run(self) -> None:
        failures = 0
        # A poll that swallows its cancellation must not keep this task alive.
        mine = asyncio.current_task()
        while self._task is mine:
            self._woken.clear()
            try:
                pause_s = await self._poll_once()
                failures = 0
            except (OSError, SoundstageError) as error:
                failures += 1
                pause_s = self._retries.delay_s(failures)
                log.warning(
                    "background.look_failed",
                    worker=self.name,
                    code=_code(error),
                    error=str(error),
                    retry_s=pause_s,
                )
            except Exception:
                # A bug in one poll must not end all work until the next restart.
                failures += 1
                pause_s = self._retries.delay_s(failures)
                log.exception("background.look_broke", worker=self.name, retry_s=pause_s)
            metrics.BACKGROUND_POLLS.inc(self.name, "failed" if failures else "ok")
            await until_set(self._woken, pause_s)

    async def _poll_once(self) -> float | None:
        if self._lock is not None and not await self._lock.acquire():
            return LOCK_RETRY_S
        if self._bring_forward is not None and (set_back := self._clock.set_back()):
            await self._bring_forward(set_back)
        pause_s = await self.poll()
        return self._poll_s if pause_s is None else pause_s


class ItemWorker(Worker):
    """Runs a step for each item that is due, `max_active` at a time (None: as many as there are).

    An item whose step has failed stays in flight, and counts, until its retry pause is over.
    """

    def __init__(
        self,
        name: str,
        due: Due,
        step: Step,
        *,
        max_active: int | None = 8,
        poll_s: float | None = 0.5,
        lock: LeaderLock | None = None,
        context: Callable[[], Context] = copy_context,
        bring_forward: Callable[[timedelta], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(
            name,
            self._start_due_items,
            poll_s=poll_s,
            lock=lock,
            context=context,
            bring_forward=bring_forward,
        )
        self._due = due
        self._step = step
        self._max_active = max_active
        self._in_flight: dict[str, asyncio.Task[None]] = {}
        self._backing_off = set[str]()
        """Items in flight whose step has failed and that wait for their retry."""

    async def close(self, stop: Callable[[], None] | None = None) -> None:
        """Cancels all steps. With `stop`, calls that instead: steps must then return on their own."""
        await self._stop_polling()
        if stop is not None:
            stop()
        for item, task in self._in_flight.items():
            if stop is None or item in self._backing_off:
                task.cancel()
        if self._in_flight:
            await asyncio.wait({*self._in_flight.values()})
        await self._release()

    async def _start_due_items(self) -> None:
        in_flight = tuple(self._in_flight)
        room = UNBOUNDED if self._max_active is None else max(0, self._max_active - len(in_flight))
        for item in await self._due(in_flight, room):
            task = asyncio.create_task(self._run_step(item), name=f"{self.name} {item}")
            self._in_flight[item] = task
            task.add_done_callback(partial(self._on_step_done, item))

    async def _run_step(self, item: str) -> None:
        if pause_s := await self._try_step(item):
            # A failure that nothing has stored leaves the item due: without the pause this is a busy loop.
            self._backing_off.add(item)
            await asyncio.sleep(pause_s)

    def _on_step_done(self, item: str, _: asyncio.Task[None]) -> None:
        self._backing_off.discard(item)
        del self._in_flight[item]
        self.wake()

    async def _try_step(self, item: str) -> float:
        """Returns the pause before the item is retried; 0 when the step went well."""
        pause_s = await self._run_once(item)
        metrics.BACKGROUND_POLLS.inc(self.name, "failed" if pause_s else "ok")
        return pause_s

    async def _run_once(self, item: str) -> float:
        try:
            await self._step(item)
            return 0.0
        except (OSError, SoundstageError) as error:
            log.error(
                "background.step_failed", worker=self.name, id=item, code=_code(error), error=str(error)
            )
            return STEP_RETRY_S
        except Exception:
            log.exception("background.step_broke", worker=self.name, id=item)
            return LONGEST_RETRY_S


def _code(error: Exception) -> str:
    return error.code if isinstance(error, SoundstageError) else type(error).__name__
