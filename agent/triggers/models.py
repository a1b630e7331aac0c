"""Table of triggers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from policy.owners import PrincipalOwned
from soundstage.database import Base, UtcDateTime


class Trigger(PrincipalOwned, Base):
    """Calls that wait for a time or an event. `fires_at` is empty while it waits for an event.

    `attempts` counts claims: each is the idempotency key of one turn.
    """

    __tablename__ = "triggers"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    principal_id: Mapped[str] = mapped_column(String(80), index=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("agent_sessions.id", ondelete="CASCADE"))
    after_id: Mapped[str | None] = mapped_column(String(40))
    """The trigger whose result this one waits for; until that has fired, this one is not looked at."""
    text: Mapped[str] = mapped_column(Text)
    condition: Mapped[dict[str, Any]] = mapped_column(JSON)
    calls: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(20), index=True)
    result: Mapped[str] = mapped_column(Text, default="")
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    fires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    fired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
