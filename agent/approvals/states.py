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


_S = ApprovalState

TRANSITIONS: dict[ApprovalState, frozenset[ApprovalState]] = {
    _S.PENDING: frozenset({_S.APPROVED, _S.DENIED, _S.EXPIRED, _S.VOID}),
    _S.APPROVED: frozenset({_S.RUNNING, _S.EXPIRED, _S.VOID}),
    _S.RUNNING: frozenset({_S.DONE, _S.FAILED, _S.LOST}),
    **dict.fromkeys((_S.DONE, _S.FAILED, _S.LOST, _S.DENIED, _S.EXPIRED, _S.VOID), frozenset()),
}

OPEN = frozenset({_S.PENDING, _S.APPROVED})
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
