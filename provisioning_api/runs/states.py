"""The life of a run. One function moves it; the docs draw this table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from soundstage.errors import Conflict


class RunState(StrEnum):
    """queued: waits for its turn; lost: its process died without reporting a result."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


R = RunState

TERMINAL = frozenset({R.SUCCEEDED, R.FAILED, R.CANCELLED, R.LOST})
OPEN = frozenset({R.QUEUED, R.RUNNING})

RUN_TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    # Failed at once: one of its machines may not be configured any more.
    R.QUEUED: frozenset({R.RUNNING, R.FAILED, R.CANCELLED}),
    R.RUNNING: frozenset({R.SUCCEEDED, R.FAILED, R.CANCELLED, R.LOST}),
    # Ends are ends: a retry is a run of its own, which names this one.
    R.SUCCEEDED: frozenset(),
    R.FAILED: frozenset(),
    R.CANCELLED: frozenset(),
    R.LOST: frozenset(),
}


def move(current: RunState, target: RunState) -> RunState:
    """The new state; raises `run.bad_transition` for a move that the table does not hold."""
    if target not in RUN_TRANSITIONS[current]:
        raise Conflict(
            "run.bad_transition",
            f"A run that is {current} cannot become {target}.",
            "Read it again: it has ended meanwhile. `soundstage runs retry ID` makes another one of it.",
        )
    return target
