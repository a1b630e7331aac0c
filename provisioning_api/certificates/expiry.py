"""Warns before certificates of members expire, and moves members with expired ones to `failed`."""

from __future__ import annotations

from datetime import timedelta

from provisioning_api.certificates.issuer import CERTIFICATES
from provisioning_api.certificates.renewal import ENROL_ANEW
from provisioning_api.enrolment.repository import Credentials, UsedChallenges
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MachineState
from soundstage.database import Database, utcnow

POLL_S = 60.0
# Machines renew in the last third; one that has not by now will probably not.
WARNED_SHARE = 6
# A machine that is being configured is its run's; it is looked at when that is over.
WATCHED = (MachineState.ENROLLED, MachineState.READY)
BY = "the end of its certificates"


class Expiry:
    """Watches all members with certificates of `lifetime`; pinned machines hold none."""

    def __init__(self, db: Database, journal: MachineJournal, lifetime: timedelta) -> None:
        self._db = db
        self._journal = journal
        self._warned_within = lifetime / WARNED_SHARE
        self._warned: dict[str, str] = {}

    async def look(self) -> None:
        """Checks all certificates once, and removes challenges that have ended."""
        now = utcnow()
        async with self._db.transaction() as session:
            await UsedChallenges(session).remove_ended(now)
        async with self._db.session() as session:
            ends = await Credentials(session).last_end_of(CERTIFICATES)
            watched = {machine.id for machine in await Machines(session).list(WATCHED)}
        for machine_id, end in ends.items():
            if machine_id in watched and end - now < self._warned_within:
                await self._warn_or_fail(machine_id)

    async def _warn_or_fail(self, machine_id: str) -> None:
        async with self._db.transaction() as session:
            # Read anew: it may have renewed them a moment ago.
            machine = await Machines(session).find(machine_id)
            end = (await Credentials(session).last_end_of(CERTIFICATES)).get(machine_id)
            if machine is None or machine.state not in WATCHED or end is None:
                return
            day = end.isoformat(timespec="minutes")
            if end <= utcnow():
                await self._journal.move(
                    session, machine, MachineState.FAILED,
                    by=BY, cause=f"Its certificates ended on {day}.",
                    hint=ENROL_ANEW.replace("NAME", machine.name),
                )  # fmt: skip
            elif end - utcnow() < self._warned_within and self._warned.get(machine_id) != day:
                self._warned[machine_id] = day
                await self._journal.emit(session, machine, "certificate_ending", not_after=end.isoformat())
