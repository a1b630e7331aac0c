"""Verbs on the first run; called by the application's routes, which know what exists outside the studio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit import AuditEntry, AuditLog
from soundstage.database import Database, utcnow
from soundstage.database.tenants import require_tenant
from soundstage.errors import Invalid
from studio.first_run.models import FirstRun
from studio.first_run.repository import FirstRuns
from studio.first_run.schemas import FirstRunChange, FirstRunView, StepView
from studio.first_run.states import MARKED, NEEDED, Step, StepState
from studio.personas.library import PersonaLibrary

Outside = Mapping[Step, bool]
"""Steps besides those of the studio that the caller may take, and whether each is seen to be done."""


@dataclass(frozen=True, slots=True)
class FirstRunService:
    """State is computed from what exists, and stored only where nothing shows it."""

    db: Database
    library: PersonaLibrary
    audit: AuditLog

    async def read(self, outside: Outside) -> FirstRunView:
        async with self.db.session() as session:
            runs = FirstRuns(session)
            return await _view(runs, await runs.get(), outside)

    async def change(self, change: FirstRunChange, outside: Outside, *, by: str) -> FirstRunView:
        """Raises `persona.not_found`, Invalid `first_run.no_step` and `first_run.not_marked`."""
        _check_steps(change, outside)
        if change.presenter is not None:
            self.library.get(change.presenter)
        async with self.db.transaction() as session:
            runs = FirstRuns(session)
            row = await runs.get() or await runs.add(FirstRun())
            before = (row.presenter, row.marks, row.dismissed)
            if change.presenter is not None:
                row.presenter = change.presenter
            marks = row.marks | {str(step): str(state) for step, state in change.steps.items()}
            row.marks = {step: state for step, state in marks.items() if state != StepState.OPEN}
            if change.dismissed is not None:
                row.dismissed = change.dismissed
            if before != (row.presenter, row.marks, row.dismissed):
                row.updated_at = utcnow()
                await self._record(session, change, by)
            return await _view(runs, row, outside)

    async def _record(self, session: AsyncSession, change: FirstRunChange, by: str) -> None:
        data = change.model_dump(mode="json", exclude_unset=True)
        line = AuditEntry("first_run.changed", by, tenant=require_tenant(), data=data)
        await self.audit.record(session, line)


async def _view(runs: FirstRuns, row: FirstRun | None, outside: Outside) -> FirstRunView:
    has_film = await runs.has_film()
    chosen = None if row is None else row.presenter
    # Whoever has a film has heard it, and its machine can make one.
    seen = {
        Step.DOCTOR: has_film,
        Step.PRESENTER: has_film or chosen is not None or await runs.has_project(),
        Step.VOICE: has_film,
        Step.FILM: has_film,
    }
    offered = [step for step in Step if step in outside or step in _OWN]
    marks = {} if row is None else row.marks
    steps = [
        StepView(
            step=step,
            state=StepState.DONE
            if seen.get(step) or outside.get(step)
            else StepState(marks.get(step, StepState.OPEN)),
            needed=step in NEEDED,
        )
        for step in offered
    ]
    return FirstRunView(
        steps=steps,
        presenter=chosen,
        finished=not any(one.needed and one.state is StepState.OPEN for one in steps),
        dismissed=row is not None and row.dismissed,
    )


_OWN = (Step.PRESENTER, Step.VOICE, Step.FILM)
"""Steps that everybody may take who sees the first run."""


def _check_steps(change: FirstRunChange, outside: Outside) -> None:
    for step, state in change.steps.items():
        if step not in outside and step not in _OWN:
            raise Invalid(
                "first_run.no_step",
                f"The step {step} is not one of yours.",
                "Ask for the first run: it lists the steps that there are for you.",
            )
        if state is StepState.DONE and step not in MARKED:
            raise Invalid(
                "first_run.not_marked",
                f"The step {step} is done when what it asks for is there.",
                "Skip it with `skipped`, or do it.",
            )
