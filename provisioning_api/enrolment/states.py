"""The life of one enrolment. One function moves it; the docs draw this table."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from soundstage.errors import Conflict
from soundstage.transitions import Transitions


class EnrolmentState(StrEnum):
    """armed: may be claimed; issued: a token exists; used: it was exchanged, once and for all."""

    ARMED = "armed"
    ISSUED = "issued"
    USED = "used"
    EXPIRED = "expired"
    REVOKED = "revoked"


E = EnrolmentState

ENROLMENT_TRANSITIONS = Transitions(
    EnrolmentState,
    {
        E.ARMED: {E.ISSUED, E.EXPIRED, E.REVOKED},
        # Issued anew: the answer with the token was lost. The token before it is worthless then.
        E.ISSUED: {E.ISSUED, E.USED, E.EXPIRED, E.REVOKED},
    },
    lambda current, _: Conflict(
        "enrolment.used_up",
        f"This enrolment is {current} and good for nothing more.",
        "Arm another: `soundstage machines arm NAME`.",
    ),
)
move = ENROLMENT_TRANSITIONS.move


def state_at(stored: EnrolmentState, expires_at: datetime, now: datetime) -> EnrolmentState:
    """Returns what a stored state means at the moment `now`."""
    return E.EXPIRED if stored in (E.ARMED, E.ISSUED) and expires_at <= now else stored
