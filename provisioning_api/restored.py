"""Makes a database safe that came out of a backup: nothing that was open then may be used now.

Since the backup a machine may have been written, put to work, wiped or enrolled. What the old database still
allows would happen a second time: a working disk would be wiped. Called by `soundstage restore`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit.recorded_end import Origin
from provisioning_api.audit.service import AuditLog
from provisioning_api.enrolment.service import EnrolmentService
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MachineState
from soundstage.database import Database

BY = "a restored backup"


@dataclass(frozen=True, slots=True)
class Closed:
    """How many machines had something open, and where the lines of the audit log come from."""

    machines: int
    log: Origin


class Restored:
    def __init__(
        self, db: Database, journal: MachineJournal, audit: AuditLog, enrolments: EnrolmentService
    ) -> None:
        self._db = db
        self._audit = audit
        self._journal = journal
        self._enrolments = enrolments

    async def close_what_was_open(self, *, accept_unproven: bool = False) -> Closed:
        """Uses up writes that were allowed, closes windows, calls off wipes; gives of how many machines.

        The audit log goes on from the copy, with a record that says so, if its lines are proven or accepted.
        """
        log = await self._audit.go_on_restored("backup.restored", accept_unproven=accept_unproven)
        async with self._db.transaction() as session:
            found = [await self._close(session, machine) for machine in await Machines(session).list()]
        return Closed(sum(found), log)

    async def _close(self, session: AsyncSession, machine: Machine) -> bool:
        closed = {
            "windows": await self._enrolments.revoke_open(session, machine.id),
            "write": machine.where is MachineState.ACCEPTED and machine.standing.may_be_written,
            "wipe": machine.wiping is not None,
        }
        if not any(closed.values()):
            return False
        machine.written = machine.acceptance
        if machine.wiping is not None and machine.where is MachineState.DRAINING:
            await self._journal.move(
                session, machine, MachineState.FAILED,
                by=BY, cause="It was to be wiped when the backup was made that was restored.",
                hint=f"Retire it again, if that still holds: `soundstage machines retire {machine.name}`.",
            )  # fmt: skip
        machine.wiping = None
        await self._journal.decide(session, machine, BY, "closed", **closed)
        return True
