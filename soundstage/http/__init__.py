"""Outgoing HTTP: the one place through which every URL that people or settings name is called."""

from soundstage.http.destinations import (
    NO_LISTENERS,
    Destinations,
    OwnListeners,
    Target,
    own_listeners,
    resolve,
)
from soundstage.http.outgoing import Bounds, check_declared_length, outgoing_client

__all__ = [
    "NO_LISTENERS",
    "Bounds",
    "Destinations",
    "OwnListeners",
    "Target",
    "check_declared_length",
    "outgoing_client",
    "own_listeners",
    "resolve",
]
