"""The life of an approval, as a table."""

from __future__ import annotations

from enum import StrEnum

from soundstage.errors import Conflict


class ApprovalState(StrEnum):
    """`void`: what was agreed to is not what would happen now; `lost`: the process died while it ran."""

    PENDING = "pending"
    APPROVED = "approved"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    DENIED = "denied"
    EXPIRED = "expired"
    VOID = "void"


TRANSITIONS: dict[ApprovalState, frozenset[ApprovalState]] = {
    ApprovalState.PENDING: frozenset(
        {ApprovalState.APPROVED, ApprovalState.DENIED, ApprovalState.EXPIRED, ApprovalState.VOID}
    ),
    ApprovalState.APPROVED: frozenset({ApprovalState.RUNNING, ApprovalState.EXPIRED, ApprovalState.VOID}),
    ApprovalState.RUNNING: frozenset({ApprovalState.DONE, ApprovalState.FAILED, ApprovalState.LOST}),
    ApprovalState.DONE: frozenset(),
    ApprovalState.FAILED: frozenset(),
    ApprovalState.LOST: frozenset(),
    ApprovalState.DENIED: frozenset(),
    ApprovalState.EXPIRED: frozenset(),
    ApprovalState.VOID: frozenset(),
}

OPEN = frozenset({ApprovalState.PENDING, ApprovalState.APPROVED})
"""What the clock can still end."""


def move(current: ApprovalState, target: ApprovalState) -> ApprovalState:
    """The target state; Conflict when the table does not lead there."""
    if target not in TRANSITIONS[current]:
        raise Conflict(
            "approval.decided",
            f"This approval is {current} already, and cannot become {target}.",
            "Ask again if it is still wanted.",
        )
    return target
