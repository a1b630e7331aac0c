"""States of renders and segments. One function moves either; the docs draw these tables."""

from __future__ import annotations

from enum import StrEnum

from soundstage.errors import Conflict
from soundstage.transitions import Transitions


class RenderState(StrEnum):
    """queued: waits for the dispatcher; dispatched (on the wire `placed`): the dispatcher has taken it, and
    its tasks wait for workers; running: a worker runs it. The farm's `TaskState.PLACED` is another thing: a
    task that has a node.
    """

    QUEUED = "queued"
    DISPATCHED = "placed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


R = RenderState

TERMINAL = frozenset({R.DONE, R.FAILED, R.CANCELLED})
ACTIVE = frozenset({R.DISPATCHED, R.RUNNING})

RENDER_TRANSITIONS = Transitions(
    RenderState,
    {
        R.QUEUED: {R.DISPATCHED, R.FAILED, R.CANCELLED},
        # Back to queued: the control process was stopped; the next one dispatches it again.
        R.DISPATCHED: {R.RUNNING, R.QUEUED, R.FAILED, R.CANCELLED},
        R.RUNNING: {R.DONE, R.QUEUED, R.FAILED, R.CANCELLED},
        # Back to queued: a person asked for another try.
        R.FAILED: {R.QUEUED},
        R.CANCELLED: {R.QUEUED},
    },
    lambda current, target: Conflict(
        "render.bad_transition",
        f"What is {current} cannot become {target}.",
        "Read it again: something else has changed it meanwhile.",
    ),
)

SEGMENT_TRANSITIONS = Transitions(
    RenderState,
    {
        **RENDER_TRANSITIONS,
        R.QUEUED: RENDER_TRANSITIONS[R.QUEUED] | {R.QUEUED},
        # Back to queued: its files were collected since.
        R.DONE: {R.QUEUED},
    },
    RENDER_TRANSITIONS.refusal,
)
