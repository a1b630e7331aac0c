"""The wire form of an event."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel


class Event(BaseModel, frozen=True, from_attributes=True):
    """A fact that does not change.

    `id` counts all events and is the only cursor (`after`, `Last-Event-ID`); `seq` counts those of one
    stream, without gaps, and tells a reader that it has missed none.
    """

    id: int
    stream: str
    seq: int
    kind: str
    data: dict[str, Any]
    at: datetime
    trace_id: str | None = None
