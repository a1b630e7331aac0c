"""Works off what is due, in the one process that holds the lock; webhooks and publishing each have one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

from soundstage.database.tenants import tenant_bypass_context
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger
from soundstage.waiting import until_set
from studio.renders.lock import DriverLock

LOCK_RETRY_S = 1.0
LONGEST_PAUSE_S = 10.0

Due = Callable[[Collection[str], int], Awaitable[Sequence[str]]]
"""Ids that are due: not those in hand, and not more than the number."""
Work = Callable[[str], Awaitable[None]]
"""Does one step for one id and writes down when the next is due. May be cancelled anywhere."""

log = get_logger(__name__)


class Courier:
    """`start` and `close`, or `async with`. All it knows is in the database, so any process may go on.

    It runs without the tenant filter: for the rows of all tenants.
    """

    def __init__(
        self, name: str, lock: Path, due: Due, work: Work, *, max_active: int = 8, poll_s: float = 0.5
    ) -> None:
        self._name = name
        self._lock = DriverLock(lock)
        self._due = due
        self._work = work
        self._max_active = max_active
        self._poll_s = poll_s
        self._in_hand: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """There may be something new; without it the next look comes within `poll_s`."""
        self._woken.set()

    async def start(self) -> None:
        if self._loop is None:
            self._loop = asyncio.create_task(self._run(), name=self._name, context=tenant_bypass_context())

    async def close(self) -> None:
        """Stops in the middle of whatever it does; the next to start goes on from what is written down."""
        tasks = {*self._in_hand.values(), *((self._loop,) if self._loop else ())}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._loop = None
        self._lock.release()

    async def __aenter__(self) -> Courier:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self) -> None:
        while not self._lock.acquire():  # noqa: ASYNC110 - another process lets go of it
            await asyncio.sleep(LOCK_RETRY_S)
        pause = self._poll_s
        while True:
            self._woken.clear()
            try:
                await self._look()
                pause = self._poll_s
            except (OSError, SoundstageError) as error:
                pause = min(pause * 2, LONGEST_PAUSE_S)
                log.error("courier.look_failed", courier=self._name, error=str(error), retry_s=pause)
            except Exception:
                # A fault of ours in one look must not end all deliveries until the next restart.
                pause = LONGEST_PAUSE_S
                log.exception("courier.fault", courier=self._name, retry_s=pause)
            await until_set(self._woken, pause)

    async def _look(self) -> None:
        room = self._max_active - len(self._in_hand)
        if room <= 0:
            return
        for one in await self._due(tuple(self._in_hand), room):
            self._in_hand[one] = asyncio.create_task(self._do(one), name=f"{self._name} {one}")

    async def _do(self, one: str) -> None:
        pause = 0.0
        try:
            await self._work(one)
        except SoundstageError as error:
            pause = LOCK_RETRY_S
            log.error("courier.step_failed", courier=self._name, id=one, error=str(error))
        except Exception:
            pause = LONGEST_PAUSE_S
            log.exception("courier.fault", courier=self._name, id=one)
        finally:
            # What failed without being written down is due at once again: not in a tight circle.
            if pause:
                await asyncio.sleep(pause)
            del self._in_hand[one]
            self._woken.set()
