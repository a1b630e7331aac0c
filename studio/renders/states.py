"""States of renders and segments. One function moves either; the docs draw these tables."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from soundstage.errors import Conflict


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


TERMINAL = frozenset({RenderState.DONE, RenderState.FAILED, RenderState.CANCELLED})
ACTIVE = frozenset({RenderState.DISPATCHED, RenderState.RUNNING})

_Table = Mapping[RenderState, frozenset[RenderState]]

RENDER_TRANSITIONS: _Table = {
    RenderState.QUEUED: frozenset({RenderState.DISPATCHED, RenderState.FAILED, RenderState.CANCELLED}),
    # Back to queued: the control process was stopped; the next one dispatches it again.
    RenderState.DISPATCHED: frozenset(
        {RenderState.RUNNING, RenderState.QUEUED, RenderState.FAILED, RenderState.CANCELLED}
    ),
    RenderState.RUNNING: frozenset(
        {RenderState.DONE, RenderState.QUEUED, RenderState.FAILED, RenderState.CANCELLED}
    ),
    RenderState.DONE: frozenset(),
    # Back to queued: a person asked for another try.
    RenderState.FAILED: frozenset({RenderState.QUEUED}),
    RenderState.CANCELLED: frozenset({RenderState.QUEUED}),
}

SEGMENT_TRANSITIONS: _Table = {
    **RENDER_TRANSITIONS,
    RenderState.QUEUED: RENDER_TRANSITIONS[RenderState.QUEUED] | {RenderState.QUEUED},
    # Back to queued: its files were collected since.
    RenderState.DONE: frozenset({RenderState.QUEUED}),
}


def move(table: _Table, current: RenderState, target: RenderState) -> RenderState:
    """The new state; raises `render.bad_transition` for a move that the table does not hold."""
    if target not in table[current]:
        raise Conflict(
            "render.bad_transition",
            f"What is {current} cannot become {target}.",
            "Read it again: something else has changed it meanwhile.",
        )
    return target
