"""Moves cases between states, with an event for each move: only this module writes a case's state."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.healing.limits import NextStep
from provisioning_api.healing.models import HealingAction, HealingCase
from provisioning_api.healing.repository import REINSTALL, RESTART, HealingActions
from provisioning_api.healing.states import ENDED, HealingState, move
from provisioning_api.machines.journal import STREAM
from provisioning_api.machines.models import Machine
from soundstage.database import on_commit, utcnow
from soundstage.events import EventStore
from soundstage.telemetry import metrics

_COUNTED = {HealingState.RESTARTING: RESTART, HealingState.REINSTALLING: REINSTALL}


class HealingJournal:
    """Events stand in the stream of machines, under the trace of their case."""

    def __init__(self, events: EventStore) -> None:
        self._events = events

    async def emit(
        self, session: AsyncSession, machine: Machine, case: HealingCase, *, before: str, by: str
    ) -> None:
        facts = {
            "machine_id": machine.id,
            "name": machine.name,
            "state": machine.state,
            "case": case.id,
            "healing": case.state,
            "before": before,
            "cause": case.cause,
            "finding": case.finding,
            "reason": case.reason,
            "by": by,
        }
        await self._events.append(session, STREAM, "machine.healing", facts, trace_id=case.trace_id)

    async def move(
        self, session: AsyncSession, machine: Machine, case: HealingCase, step: NextStep, *, by: str
    ) -> None:
        """Moves a case, and counts a power cycle or reinstallation before it is done. Raises Conflict, and
        changes nothing, when the state table forbids it.
        """
        before = case.state
        case.state = move(HealingState(before), step.state)
        case.reason, case.consent = step.reason, step.consent
        case.errors, case.acted = 0, False
        case.since = case.next_at = utcnow()
        if (kind := _COUNTED.get(step.state)) is not None:
            await HealingActions(session).add(
                HealingAction(case_id=case.id, machine_id=machine.id, kind=kind)
            )
        if step.state in ENDED:
            case.ended_at, case.spare_id = utcnow(), None
            state, cause = str(step.state), str(case.cause)
            on_commit(session, lambda: metrics.HEALING_ENDED.inc(state, cause))
        await self.emit(session, machine, case, before=before, by=by)
