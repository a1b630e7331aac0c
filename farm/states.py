"""States of one run of the worker; every scheduler adapter moves a task through this table and no other
way.
"""

from __future__ import annotations

from enum import StrEnum

from soundstage.errors import Conflict


class TaskState(StrEnum):
    QUEUED = "queued"
    PLACED = "placed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: dict[TaskState, frozenset[TaskState]] = {
    TaskState.QUEUED: frozenset({TaskState.PLACED, TaskState.FAILED, TaskState.CANCELLED}),
    TaskState.PLACED: frozenset({TaskState.RUNNING, TaskState.FAILED, TaskState.CANCELLED}),
    TaskState.RUNNING: frozenset({TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED}),
    TaskState.DONE: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELLED: frozenset(),
}

TERMINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)


def move(current: TaskState, target: TaskState) -> TaskState:
    """The new state; raises `task.bad_transition` for a move that the table does not hold."""
    if target not in TRANSITIONS[current]:
        raise Conflict(
            "task.bad_transition",
            f"A task that is {current} cannot become {target}.",
            "Submit it again under a new id.",
        )
    return target
