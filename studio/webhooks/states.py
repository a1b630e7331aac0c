"""States of a delivery. One function moves it; the docs draw this table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from soundstage.errors import Conflict


class DeliveryState(StrEnum):
    """pending: will be tried (again); failed: was tried often enough."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


DELIVERY_TRANSITIONS: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.PENDING: frozenset({DeliveryState.DELIVERED, DeliveryState.FAILED}),
    # Back to pending: a person asked for it once more.
    DeliveryState.DELIVERED: frozenset({DeliveryState.PENDING}),
    DeliveryState.FAILED: frozenset({DeliveryState.PENDING}),
}


def move(current: DeliveryState, target: DeliveryState) -> DeliveryState:
    """The new state; raises `webhook.bad_transition` for a move that the table does not hold."""
    if target not in DELIVERY_TRANSITIONS[current]:
        raise Conflict(
            "webhook.bad_transition",
            f"A delivery that is {current} cannot become {target}.",
            "Wait until it has been delivered or has failed.",
        )
    return target
