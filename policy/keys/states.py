"""The life of an API key, as a table."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from soundstage.errors import Conflict
from soundstage.transitions import Transitions


class KeyState(StrEnum):
    """`superseded` keys still work until they expire; `expired` is what the clock makes of either."""

    ACTIVE = "active"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    REVOKED = "revoked"


USABLE = frozenset({KeyState.ACTIVE, KeyState.SUPERSEDED})

TRANSITIONS = Transitions(
    KeyState,
    {
        KeyState.ACTIVE: {KeyState.SUPERSEDED, KeyState.EXPIRED, KeyState.REVOKED},
        KeyState.SUPERSEDED: {KeyState.EXPIRED, KeyState.REVOKED},
    },
    lambda current, target: Conflict(
        "key.wrong_state", f"A key that is {current} cannot become {target}.", "Make a new key instead."
    ),
)
move = TRANSITIONS.move


def state_at(stored: KeyState, expires_at: datetime | None, now: datetime) -> KeyState:
    """Returns what a stored state means at the moment `now`."""
    if stored in USABLE and expires_at is not None and expires_at <= now:
        return KeyState.EXPIRED
    return stored
