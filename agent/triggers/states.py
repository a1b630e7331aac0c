"""The life of a trigger, as a table."""

from __future__ import annotations

from enum import StrEnum

from soundstage.errors import Conflict
from soundstage.transitions import Transitions


class TriggerState(StrEnum):
    """firing: a process has claimed it and makes its calls; a repeated one waits again afterwards."""

    WAITING = "waiting"
    FIRING = "firing"
    FIRED = "fired"
    FAILED = "failed"
    CANCELLED = "cancelled"


_S = TriggerState

TRIGGER_TRANSITIONS = Transitions(
    TriggerState,
    {
        _S.WAITING: {_S.FIRING, _S.FAILED, _S.CANCELLED},
        # Back to waiting: it repeats, or its process died before any call.
        _S.FIRING: {_S.WAITING, _S.FIRED, _S.FAILED},
    },
    lambda current, target: Conflict(
        "trigger.ended",
        f"This trigger is {current} already, and cannot become {target}.",
        "Say “list the triggers” to see which ones wait.",
    ),
)
move = TRIGGER_TRANSITIONS.move
OPEN = frozenset({_S.WAITING, _S.FIRING})
