"""The life of an approval, as a table."""

from __future__ import annotations

from enum import StrEnum

from soundstage.errors import Conflict
from soundstage.transitions import Transitions


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

TRANSITIONS = Transitions(
    ApprovalState,
    {
        _S.PENDING: {_S.APPROVED, _S.DENIED, _S.EXPIRED, _S.VOID},
        _S.APPROVED: {_S.RUNNING, _S.EXPIRED, _S.VOID},
        _S.RUNNING: {_S.DONE, _S.FAILED, _S.LOST},
    },
    lambda current, target: Conflict(
        "approval.decided",
        f"This approval is {current} already, and cannot become {target}.",
        "Ask again if it is still wanted.",
    ),
)
move = TRANSITIONS.move

OPEN = frozenset({_S.PENDING, _S.APPROVED})
"""What the clock can still end."""
