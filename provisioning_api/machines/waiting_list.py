"""Limits the machines that wait for a decision: any host on the boot network can invent some."""

from __future__ import annotations

import math
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from soundstage.database import Database, utcnow
from soundstage.errors import TooManyRequests
from soundstage.rate_limits import RateLimiter

POLL_S = 600.0
# A ramdisk that waits asks every few seconds what to do.
SILENT = timedelta(minutes=5)
REMOVED_AT_ONCE = 200


class WaitingList:
    """`maximum` machines may be *discovered* at a time; each is forgotten after `days` of silence. Nothing is
    lost by that: no decision about them is lost, and one that is started again reports again. A
    machine that a person has named or given a BMC stays.
    """

    def __init__(
        self, db: Database, journal: MachineJournal, new_machines: RateLimiter, *, maximum: int, days: int
    ) -> None:
        self._db = db
        self._journal = journal
        self._new_machines = new_machines
        self._maximum = maximum
        self._age = timedelta(days=days)

    async def admit(self, session: AsyncSession, machine: Machine, source: str | None) -> None:
        """Checks the limits for a machine that was just added; called in its transaction.

        On a full list it takes the place of the machine that has been silent longest, of those silent for
        five minutes. Raises TooManyRequests when its source reports too many, or when none is silent.
        """
        if wait_s := self._new_machines.take(source or "local"):
            seconds = max(1, math.ceil(wait_s))
            raise TooManyRequests(
                "machine.too_many_new",
                "This address reports more new machines than it may.",
                f"Come again in {seconds} s, or raise `provisioning.new_machines_per_hour`.",
                headers={"Retry-After": str(seconds)},
            )
        machines = Machines(session)
        too_many = await machines.count_waiting() - self._maximum
        if too_many <= 0:
            return
        silent = await machines.waiting_since(utcnow() - SILENT, too_many)
        if len(silent) < too_many:
            raise TooManyRequests(
                "machine.waiting_list_full",
                f"{self._maximum} machines wait for a decision, and more are not taken in.",
                "Accept or reject some (`soundstage machines list`), or raise `provisioning.discovered_max`.",
                headers={"Retry-After": str(int(SILENT.total_seconds()))},
            )
        await self._forget(session, silent, "the list is full")

    async def look(self) -> None:
        """Forget machines that have been silent for too long; some hundred in a transaction."""
        while True:
            async with self._db.transaction() as session:
                silent = await Machines(session).waiting_since(utcnow() - self._age, REMOVED_AT_ONCE)
                await self._forget(session, silent, "silent for too long")
            if len(silent) < REMOVED_AT_ONCE:
                return

    async def _forget(self, session: AsyncSession, machines: list[Machine], cause: str) -> None:
        for machine in machines:
            await self._journal.emit(session, machine, "forgotten", cause=cause)
        await Machines(session).remove([machine.id for machine in machines])
