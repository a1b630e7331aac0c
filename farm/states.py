"""States of one run of the worker; every scheduler adapter moves a task through this table and no other
way.
"""

from __future__ import annotations

from enum import StrEnum

from soundstage.errors import Conflict
from soundstage.transitions import Transitions


class TaskState(StrEnum):
    QUEUED = "queued"
    PLACED = "placed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS = Transitions(
    TaskState,
    {
        TaskState.QUEUED: {TaskState.PLACED, TaskState.FAILED, TaskState.CANCELLED},
        TaskState.PLACED: {TaskState.RUNNING, TaskState.FAILED, TaskState.CANCELLED},
        TaskState.RUNNING: {TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED},
    },
    lambda current, target: Conflict(
        "task.bad_transition",
        f"A task that is {current} cannot become {target}.",
        "Submit it again under a new id.",
    ),
)
move = TRANSITIONS.move

TERMINAL = TRANSITIONS.terminal
