"""Moves machines and tells of it: the only place that writes a machine's state."""

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

    async def tell(self, session: AsyncSession, machine: Machine, kind: str, **data: Any) -> None:
        """An event: something happened to this machine."""
        facts = {"machine_id": machine.id, "name": machine.name, "state": machine.state, **data}
        await self._events.append(session, STREAM, f"machine.{kind}", facts)

    async def decide(
        self, session: AsyncSession, machine: Machine, by: str, action: str, **data: Any
    ) -> None:
        """An audit record: somebody, or a named rule, decided something about it."""
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
        """Raises Conflict, and changes nothing, when the table or a guard forbids it."""
        before = machine.where
        machine.state = move(before, target, machine.standing)
        machine.cause, machine.hint = cause, hint
        why = {"cause": cause, "hint": hint} if cause else {}
        await self.tell(session, machine, target, before=before, by=by, **why, **data)
