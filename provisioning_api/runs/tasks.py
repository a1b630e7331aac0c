"""Builds the list of a run's tasks from its events; called by the routes."""

from __future__ import annotations

from pydantic import BaseModel

from provisioning_api.runs.journal import stream_of
from soundstage.events import EventStore

MAX_TASKS = 1000
_PAGE = 1000
_ENDS = frozenset({"run.ok", "run.failed", "run.unreachable"})


class TaskView(BaseModel):
    """One task on one machine; `result`: ok, failed or unreachable."""

    machine: str
    task: str
    result: str
    changed: bool
    seconds: float | None
    message: str


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


async def tasks_of(events: EventStore, run_id: str) -> list[TaskView]:
    """The last `MAX_TASKS`, oldest first."""
    found: list[TaskView] = []
    after = 0
    while page := await events.read(stream_of(run_id), after, _PAGE):
        after = page[-1].id
        found += [
            TaskView(
                machine=str(event.data.get("host", "")),
                task=str(event.data.get("task", "")),
                result=event.kind.removeprefix("run."),
                changed=bool(event.data.get("changed")),
                seconds=_number(event.data.get("seconds")),
                message=str(event.data.get("message", "")),
            )
            for event in page
            if event.kind in _ENDS
        ]
    return found[-MAX_TASKS:]
