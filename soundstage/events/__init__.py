"""Append-only facts in commit order, that pages and calls follow and resume without loss or repetition."""

from soundstage.events.filter import EventFilter
from soundstage.events.schemas import Event
from soundstage.events.sse import last_event_id, sse_response
from soundstage.events.store import EventStore

__all__ = [
    "Event",
    "EventFilter",
    "EventStore",
    "last_event_id",
    "sse_response",
]
