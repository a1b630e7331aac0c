"""Table of broadcasts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from policy.owners import PrincipalOwned
from soundstage.database import Base, UtcDateTime


class BroadcastRow(PrincipalOwned, Base):
    """A broadcast that goes on until somebody ends it. `server` serves it until `claimed_until`."""

    __tablename__ = "broadcasts"

    id: Mapped[str] = mapped_column(ForeignKey("agent_sessions.id", ondelete="CASCADE"), primary_key=True)
    target: Mapped[str] = mapped_column(String(80), unique=True)
    persona_id: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    server: Mapped[str] = mapped_column(String(40))
    claimed_until: Mapped[datetime] = mapped_column(UtcDateTime)
