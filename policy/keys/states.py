"""The life of an API key, as a table."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from soundstage.errors import Conflict


class KeyState(StrEnum):
    """`superseded` keys still work until they expire; `expired` is what the clock makes of either."""

    ACTIVE = "active"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    REVOKED = "revoked"


USABLE = frozenset({KeyState.ACTIVE, KeyState.SUPERSEDED})

TRANSITIONS: dict[KeyState, frozenset[KeyState]] = {
    KeyState.ACTIVE: frozenset({KeyState.SUPERSEDED, KeyState.EXPIRED, KeyState.REVOKED}),
    KeyState.SUPERSEDED: frozenset({KeyState.EXPIRED, KeyState.REVOKED}),
    KeyState.EXPIRED: frozenset(),
    KeyState.REVOKED: frozenset(),
}


def move(current: KeyState, target: KeyState) -> KeyState:
    """Returns the target state; Conflict when the table does not lead there."""
    if target not in TRANSITIONS[current]:
        raise Conflict(
            "key.wrong_state", f"A key that is {current} cannot become {target}.", "Make a new key instead."
        )
    return target


def state_at(stored: KeyState, expires_at: datetime | None, now: datetime) -> KeyState:
    """Returns what a stored state means at the moment `now`."""
    if stored in USABLE and expires_at is not None and expires_at <= now:
        return KeyState.EXPIRED
    return stored
