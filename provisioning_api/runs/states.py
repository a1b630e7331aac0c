"""The life of a run. One function moves it; the docs draw this table."""

from __future__ import annotations

from enum import StrEnum

from soundstage.errors import Conflict
from soundstage.transitions import Transitions


class RunState(StrEnum):
    """queued: waits for its turn; lost: its process died without reporting a result."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


R = RunState

OPEN = frozenset({R.QUEUED, R.RUNNING})

RUN_TRANSITIONS = Transitions(
    RunState,
    {
        # Failed at once: one of its machines may not be configured any more.
        R.QUEUED: {R.RUNNING, R.FAILED, R.CANCELLED},
        R.RUNNING: {R.SUCCEEDED, R.FAILED, R.CANCELLED, R.LOST},
    },
    lambda current, target: Conflict(
        "run.bad_transition",
        f"A run that is {current} cannot become {target}.",
        "Read it again: it has ended meanwhile. `soundstage runs retry ID` makes another one of it.",
    ),
)
TERMINAL = RUN_TRANSITIONS.terminal
"""A retry is a run of its own, which names this one."""
move = RUN_TRANSITIONS.move
