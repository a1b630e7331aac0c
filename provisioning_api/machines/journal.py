"""Moves machines between states, with an event for each move: only this module writes a machine's state."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.audit.service import AuditLog
from provisioning_api.machines.models import Machine
from provisioning_api.machines.states import MachineState, move
from soundstage.events import EventStore

STREAM = "machines"


class MachineJournal:
    """Events of all machines stand in one stream, so that a page follows one; each names its machine."""

    def __init__(self, events: EventStore, audit: AuditLog) -> None:
        self._events = events
        self._audit = audit

    async def emit(self, session: AsyncSession, machine: Machine, kind: str, **data: Any) -> None:
        """Appends an event about this machine, for pages and followers."""
        facts = {"machine_id": machine.id, "name": machine.name, "state": machine.state, **data}
        await self._events.append(session, STREAM, f"machine.{kind}", facts)

    async def audit(self, session: AsyncSession, machine: Machine, by: str, action: str, **data: Any) -> None:
        """Appends an audit record: an operator, or a named rule, has decided something about this machine."""
        await self._audit.record(session, by, f"machine.{action}", machine.id, {"name": machine.name, **data})

    async def move(
        self,
        session: AsyncSession,
        machine: Machine,
        target: MachineState,
        *,
        by: str,
        cause: str = "",
        hint: str = "",
        **data: Any,
    ) -> None:
        """Moves a machine to a state, with an event. Raises Conflict, and changes nothing, when the state
        table or a guard forbids it.
        """
        before = machine.state
        machine.state = move(before, target, machine.guard_facts)
        machine.cause, machine.hint = cause, hint
        why = {"cause": cause, "hint": hint} if cause else {}
        await self.emit(session, machine, target, before=before, by=by, **why, **data)
