"""Tables of the event log: the events, and the heads that give out numbers under a lock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base

# SQLite knows only INTEGER as a row id.
_Number = BigInteger().with_variant(Integer(), "sqlite")


class EventRow(Base):
    """One event. Rows are never changed, but for words that are forgotten."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("stream", "seq"),
        Index("ix_events_stream_id", "stream", "id"),
    )

    id: Mapped[int] = mapped_column(_Number, primary_key=True, autoincrement=False)
    stream: Mapped[str] = mapped_column(String(200))
    seq: Mapped[int] = mapped_column(_Number)
    kind: Mapped[str] = mapped_column(String(100))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime]
    trace_id: Mapped[str | None] = mapped_column(String(32))


class EventStreamRow(Base):
    """The last number given out in a stream; the row named `*` counts all streams together."""

    __tablename__ = "event_streams"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    last: Mapped[int] = mapped_column(_Number)
