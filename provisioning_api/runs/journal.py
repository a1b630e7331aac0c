"""Emits the events of a run, one stream per run, and moves runs as the state table allows."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.runs.models import Run
from provisioning_api.runs.states import TERMINAL, RunState, move
from soundstage.database import on_commit, utcnow
from soundstage.events import Event, EventFilter, EventStore
from soundstage.telemetry import metrics


def stream_of(run_id: str) -> str:
    return f"run:{run_id}"


ALL_RUNS = EventFilter(streams=("run",))
"""The streams of all runs."""


def is_end(event: Event) -> bool:
    """Returns whether nothing more will come in the stream of this run."""
    return event.kind == "run.ended"


class RunJournal:
    def __init__(self, events: EventStore) -> None:
        self._events = events

    async def emit(self, session: AsyncSession, run: Run, kind: str, **data: Any) -> None:
        await self._events.append(session, stream_of(run.id), f"run.{kind}", data, trace_id=run.trace_id)

    async def move(
        self, session: AsyncSession, run: Run, target: RunState, *, cause: str = "", hint: str = ""
    ) -> None:
        """Raises Conflict, and changes nothing, when the table forbids it. The last event holds the cause."""
        run.state = move(RunState(run.state), target)
        run.cause, run.hint = cause, hint
        if target is RunState.RUNNING:
            run.started_at = utcnow()
            await self.emit(session, run, "started")
        elif target in TERMINAL:
            run.ended_at = utcnow()
            await self.emit(session, run, "ended", state=target, cause=cause, hint=hint)
            on_commit(session, lambda: _measure(run, target))


def _measure(run: Run, state: RunState) -> None:
    metrics.RUNS_FINISHED.inc(state)
    if run.started_at is not None and run.ended_at is not None:
        seconds = (run.ended_at - run.started_at).total_seconds()
        metrics.RUN_SECONDS.observe(seconds, state, trace=run.trace_id)
