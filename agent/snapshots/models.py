"""Tables of snapshots, and of the turns that a conversation continues from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, UtcDateTime


class Snapshot(Base):
    """One state of a conversation under a name; `name_key` is the name without regard to case and spaces."""

    __tablename__ = "snapshots"
    __table_args__ = (UniqueConstraint("tenant", "owner_id", "name_key"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(80))
    owner_id: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(80))
    name_key: Mapped[str] = mapped_column(String(160))
    session_id: Mapped[str] = mapped_column(String(40))
    turns: Mapped[int]
    state: Mapped[dict[str, Any]] = mapped_column(JSON)
    saved_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Continuation(Base):
    """The turns of a snapshot, possibly deleted since, from which a conversation continues.

    Its own turns up to `after_turn` are no longer part of its history.
    """

    __tablename__ = "continuations"

    session_id: Mapped[str] = mapped_column(
        ForeignKey("agent_sessions.id", ondelete="CASCADE"), primary_key=True
    )
    snapshot_name: Mapped[str] = mapped_column(String(80))
    after_turn: Mapped[int]
    turns: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    loaded_at: Mapped[datetime] = mapped_column(UtcDateTime)
