"""Makes a database safe that came out of a backup: nothing that was open then may be used now.

Since the backup a machine may have been written, put to work, wiped or enrolled. What the old database still
allows would happen a second time: a working disk would be wiped. Called by `soundstage restore`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit.recorded_head import Origin
from provisioning_api.audit.service import AuditLog
from provisioning_api.enrolment.service import EnrolmentService
from provisioning_api.machines.journal import STREAM, MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MachineState
from soundstage.database import Database
from soundstage.events import Event, EventStore

BY = "a restored backup"
CLOSED = "machine.closed"
OPEN = ("windows", "write", "wipe")
RECORDED = "machines.closed_recorded"
"""The event after which those of `CLOSED` before it stand in the audit log."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The number of machines with pending actions, and the origin of the audit log's lines."""

    machines: int
    log: Origin


@dataclass
class Restored:
    db: Database
    events: EventStore
    journal: MachineJournal
    audit: AuditLog
    enrolments: EnrolmentService

    async def close_pending(self, *, accept_unproven: bool = False) -> Closed:
        """Uses up writes that were allowed, closes windows, calls off wipes; gives of how many machines.

        The audit log goes on from the copy, with a record that says so, if its lines are proven or accepted.
        Otherwise what is closed stands in events alone: a record now would be keyed by another key than the
        log. It is recorded when this is called again, with the key.
        """
        log = await self.audit.resume_restored_chain("backup.restored", accept_unproven=accept_unproven)
        goes_on = accept_unproven or not log.unproven
        if goes_on:
            await self._record_late()
        async with self.db.transaction() as session:
            machines = await Machines(session).list()
            found = [await self._close(session, machine, goes_on=goes_on) for machine in machines]
        return Closed(sum(found), log)

    async def _record_late(self) -> None:
        """Records what was closed while the log could not go on."""
        pending: list[Event] = []
        last = 0
        while page := await self.events.read(STREAM, after=last):
            last = page[-1].id
            for event in page:
                if event.kind == RECORDED:
                    pending.clear()
                elif event.kind == CLOSED:
                    pending.append(event)
        async with self.db.transaction() as session:
            for event in pending:
                facts = {name: event.data[name] for name in ("name", *OPEN)}
                at = event.at.isoformat()
                await self.audit.record(
                    session, BY, CLOSED, event.data["machine_id"], {**facts, "closed_at": at}
                )
            if pending:
                await self.events.append(session, STREAM, RECORDED, {"count": len(pending)})

    async def _close(self, session: AsyncSession, machine: Machine, *, goes_on: bool) -> bool:
        closed = {
            "windows": await self.enrolments.revoke_open(session, machine.id),
            "write": machine.state is MachineState.ACCEPTED and machine.guard_facts.may_be_written,
            "wipe": machine.wiping is not None,
        }
        if not any(closed.values()):
            return False
        machine.written = machine.acceptance
        if machine.wiping is not None and machine.state is MachineState.DRAINING:
            await self.journal.move(
                session, machine, MachineState.FAILED,
                by=BY, cause="It was to be wiped when the backup was made that was restored.",
                hint=f"Retire it again, if that still holds: `soundstage machines retire {machine.name}`.",
            )  # fmt: skip
        machine.wiping = None
        if goes_on:
            await self.journal.audit(session, machine, BY, "closed", **closed)
        else:
            await self.journal.emit(session, machine, "closed", **closed)
        return True
