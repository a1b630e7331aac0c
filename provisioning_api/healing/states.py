"""The life of a healing case. One function moves it; the docs draw this table."""

from __future__ import annotations

from enum import StrEnum

from soundstage.errors import Conflict
from soundstage.transitions import Transitions


class HealingState(StrEnum):
    """waiting: the finding must last, and a limit may have to free; checking: Nomad must call the node
    eligible, which its golden frame decides; needs_operator: nothing more is done without an operator;
    closed: the machine was taken over by an operator, or is gone.
    """

    WAITING = "waiting"
    DRAINING = "draining"
    RESTARTING = "restarting"
    CHECKING = "checking"
    REINSTALLING = "reinstalling"
    NEEDS_OPERATOR = "needs_operator"
    PAUSED = "paused"
    RECOVERED = "recovered"
    CLOSED = "closed"


class Cause(StrEnum):
    """Cause of a case: its own checks fail (the golden frame is one), a card that Nomad calls unhealthy, or
    silence.
    """

    CHECKS = "checks"
    CARD = "card"
    SILENT = "silent"


class Consent(StrEnum):
    """The consent that a case requests from an operator."""

    NONE = ""
    REINSTALL = "reinstall"
    LAST_OF_KIND = "last_of_kind"


S = HealingState

HEALING_TRANSITIONS = Transitions(
    HealingState,
    {
        # Recovered at once: it was a short disturbance.
        S.WAITING: {S.DRAINING, S.NEEDS_OPERATOR, S.PAUSED, S.RECOVERED, S.CLOSED},
        # Reinstalling: its power cycles were used up by earlier cases.
        S.DRAINING: {S.RESTARTING, S.REINSTALLING, S.NEEDS_OPERATOR, S.PAUSED, S.RECOVERED, S.CLOSED},
        S.RESTARTING: {S.CHECKING, S.NEEDS_OPERATOR, S.PAUSED, S.RECOVERED, S.CLOSED},
        # Restarting: the power cycle did not help, and another one is allowed.
        S.CHECKING: {S.RECOVERED, S.RESTARTING, S.REINSTALLING, S.NEEDS_OPERATOR, S.PAUSED, S.CLOSED},
        # No pause: a disk that is being written cannot be left half-written.
        S.REINSTALLING: {S.RECOVERED, S.NEEDS_OPERATOR, S.CLOSED},
        S.NEEDS_OPERATOR: {S.WAITING, S.DRAINING, S.REINSTALLING, S.PAUSED, S.RECOVERED, S.CLOSED},
        S.PAUSED: {S.WAITING, S.RECOVERED, S.CLOSED},
    },
    lambda current, target: Conflict(
        "healing.bad_transition",
        f"A healing case that is {current} cannot become {target}.",
        "Read it again: `soundstage machines heal show NAME`.",
    ),
)
move = HEALING_TRANSITIONS.move
ENDED = HEALING_TRANSITIONS.terminal
"""A new finding opens a new case."""
OPEN = frozenset(HealingState) - ENDED
ACTIVE = frozenset({S.DRAINING, S.RESTARTING, S.CHECKING, S.REINSTALLING})
"""States in which healing works on the machine; `at_once` limits them."""
