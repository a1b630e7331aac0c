"""States of a delivery. One function moves it; the docs draw this table."""

from __future__ import annotations

from enum import StrEnum

from soundstage.errors import Conflict
from soundstage.transitions import Transitions


class DeliveryState(StrEnum):
    """pending: will be tried (again); failed: was tried often enough."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


DELIVERY_TRANSITIONS = Transitions(
    DeliveryState,
    {
        DeliveryState.PENDING: {DeliveryState.DELIVERED, DeliveryState.FAILED},
        # Back to pending: a person asked for it once more.
        DeliveryState.DELIVERED: {DeliveryState.PENDING},
        DeliveryState.FAILED: {DeliveryState.PENDING},
    },
    lambda current, target: Conflict(
        "webhook.bad_transition",
        f"A delivery that is {current} cannot become {target}.",
        "Wait until it has been delivered or has failed.",
    ),
)
move = DELIVERY_TRANSITIONS.move
