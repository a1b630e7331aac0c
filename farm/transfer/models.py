"""The table of tickets: which task may be worked on with which token, and how it ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, utcnow


class FarmTicket(Base):
    """One task on another machine. The token itself is nowhere, only its hash. `end` is written before the
    worker is told that it has been taken, so that a result survives the control plane.
    """

    __tablename__ = "farm_tickets"

    task_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    job_id: Mapped[str] = mapped_column(String(250), index=True)
    token_sha256: Mapped[str] = mapped_column(String(64))
    task: Mapped[dict[str, Any]] = mapped_column(JSON)
    order: Mapped[dict[str, Any]] = mapped_column(JSON)
    variables: Mapped[list[str]] = mapped_column(JSON, default=list)
    end: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    closed: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
