"""Runs one task per key for all who ask for it, within bounds of each tenant; for small forms of media."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Set
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from avatar.spec import Failed

from farm.failures import CANCELLED, CRASHED, RETRYABLE
from soundstage.database.tenants import require_tenant
from soundstage.errors import SoundstageError, Unavailable
from soundstage.tasks import cancel_all
from soundstage.telemetry.logs import get_logger

FAILED_FOR_S = 600.0
MAX_FAILED = 1000

Make = Callable[[Set[str]], Awaitable[None]]
"""Makes it for the owners that it is called with; their set changes while it works."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`pending` counts those that run, too. A tenant waits behind its own first: no tenant has more than
    `running_of_tenant` among those that wait for a place, so the places go round.
    """

    running: int
    pending: int
    running_of_tenant: int
    pending_of_tenant: int


class Full(Exception):
    """So many are pending that no other may be; `pending` of the tenant or of all."""

    def __init__(self, pending: int) -> None:
        super().__init__(f"{pending} are pending")
        self.pending = pending


@dataclass(frozen=True, slots=True)
class Refusals:
    """The errors for who asks: `busy` is called with how many are pending, of the tenant or of all, when no
    other may be; `not_ready` after the time that a request waits.
    """

    busy: Callable[[int], Unavailable]
    not_ready: Callable[[], Unavailable]


@dataclass(slots=True)
class _InFlight:
    task: asyncio.Task[None]
    owners: set[str] = field(default_factory=set)


class SingleFlight:
    """Keys, owners and failures are those of the present tenant. `close` with the process."""

    def __init__(self, name: str, bounds: Bounds) -> None:
        self.bounds = bounds
        self._name = name
        self._places = asyncio.Semaphore(bounds.running)
        self._of_tenant: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._in_flight: dict[tuple[str, str], _InFlight] = {}
        self._failed: dict[tuple[str, str], tuple[float, Failed]] = {}
        self._log = get_logger(__name__)

    async def wait(self, key: str, owner: str, make: Make, wait_s: float, refusals: Refusals) -> None:
        """Have `key` made for `owner` too, and return when it has ended, also when it was cancelled. Raises
        what `make` raises, and the refusals.
        """
        try:
            task = self.join(key, owner, make)
        except Full as error:
            raise refusals.busy(error.pending) from None
        # A caller that gives up waiting does not end work that others wait for.
        done, _ = await asyncio.wait({task}, timeout=wait_s)
        if not done:
            raise refusals.not_ready()
        if not task.cancelled():
            task.result()

    def join(self, key: str, owner: str, make: Make) -> asyncio.Task[None]:
        """Return the task of `key`, which is now made for `owner` too; begins it where there is none. Raises
        Full. A caller that gives up waiting must not cancel it.
        """
        tenant = require_tenant()
        if (in_flight := self._in_flight.get((tenant, key))) is None:
            mine = sum(1 for other, _ in self._in_flight if other == tenant)
            if mine >= self.bounds.pending_of_tenant:
                raise Full(mine)
            if len(self._in_flight) >= self.bounds.pending:
                raise Full(len(self._in_flight))
            owners: set[str] = set()
            task = asyncio.create_task(self._run(tenant, owners, make), name=f"{self._name} {key}")
            in_flight = self._in_flight[tenant, key] = _InFlight(task, owners)
            task.add_done_callback(lambda ended: self._ended((tenant, key), ended))
        in_flight.owners.add(owner)
        return in_flight.task

    async def cancel(self, owners: Collection[str]) -> None:
        """Make it for these owners no more; what is left without an owner ends before this returns."""
        tenant, ending = require_tenant(), []
        for (other, key), in_flight in list(self._in_flight.items()):
            if other == tenant and not in_flight.owners.isdisjoint(owners):
                in_flight.owners.difference_update(owners)
                ending.append(in_flight.task)
                if not in_flight.owners:
                    # Later calls begin it again.
                    del self._in_flight[tenant, key]
                    in_flight.task.cancel()
        if ending := [task for task in ending if task.cancelling()]:
            await asyncio.wait(ending)

    async def close(self) -> None:
        await cancel_all([in_flight.task for in_flight in self._in_flight.values()])

    def remember(self, key: str, failure: Failed) -> None:
        """Remembers a failure that repeats, such as a crash; a failure of a machine need not repeat."""
        if failure.code == CANCELLED.code or failure.code in RETRYABLE - {CRASHED}:
            return
        if len(self._failed) >= MAX_FAILED:
            self._failed.pop(next(iter(self._failed)))
        self._failed[require_tenant(), key] = time.monotonic(), failure

    def recent_failure(self, key: str) -> Failed | None:
        """Return why it failed a short time ago: the worker is not started for each request."""
        at, failure = self._failed.get((require_tenant(), key), (0.0, None))
        if failure is not None and time.monotonic() - at >= FAILED_FOR_S:
            del self._failed[require_tenant(), key]
            return None
        return failure

    async def _run(self, tenant: str, owners: Set[str], make: Make) -> None:
        own_places = self._of_tenant.get(tenant) or asyncio.Semaphore(self.bounds.running_of_tenant)
        self._of_tenant[tenant] = own_places
        async with own_places, self._places:
            await make(owners)

    def _ended(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        if (in_flight := self._in_flight.get(key)) is not None and in_flight.task is task:
            del self._in_flight[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            level = self._log.info if isinstance(error, SoundstageError) else self._log.error
            level("it could not be made", what=self._name, key=key[1], why=str(error))
