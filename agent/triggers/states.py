"""The life of a trigger, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from soundstage.errors import Conflict


class TriggerState(StrEnum):
    """firing: a process has claimed it and makes its calls; a repeated one waits again afterwards."""

    WAITING = "waiting"
    FIRING = "firing"
    FIRED = "fired"
    FAILED = "failed"
    CANCELLED = "cancelled"


_S = TriggerState

TRIGGER_TRANSITIONS: Mapping[TriggerState, frozenset[TriggerState]] = {
    _S.WAITING: frozenset({_S.FIRING, _S.FAILED, _S.CANCELLED}),
    # Back to waiting: it repeats, or its process died before any call.
    _S.FIRING: frozenset({_S.WAITING, _S.FIRED, _S.FAILED}),
    _S.FIRED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
}
OPEN = frozenset({_S.WAITING, _S.FIRING})


def move(current: TriggerState, target: TriggerState) -> TriggerState:
    """Returns the new state; raises `trigger.ended` for a move that the table does not hold."""
    if target not in TRIGGER_TRANSITIONS[current]:
        raise Conflict(
            "trigger.ended",
            f"This trigger is {current} already, and cannot become {target}.",
            "Say “list the triggers” to see which ones wait.",
        )
    return target
