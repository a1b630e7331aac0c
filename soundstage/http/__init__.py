"""Outgoing HTTP: the one place through which every URL that people or settings name is called."""

from soundstage.http.destinations import (
    NO_LISTENERS,
    Destinations,
    OwnListeners,
    Target,
    own_listeners,
    resolve,
)
from soundstage.http.outgoing import Bounds, outgoing_client

__all__ = [
    "NO_LISTENERS",
    "Bounds",
    "Destinations",
    "OwnListeners",
    "Target",
    "outgoing_client",
    "own_listeners",
    "resolve",
]
