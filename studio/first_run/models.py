"""The table of first runs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, new_id, utcnow
from soundstage.database.tenants import TenantOwned


class FirstRun(TenantOwned, Base):
    """Keeps what of a tenant's first run cannot be seen from what exists. `marks` maps names of steps to
    `done` or `skipped`.
    """

    __tablename__ = "first_runs"
    __table_args__ = (UniqueConstraint("tenant"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("fst"))
    presenter: Mapped[str | None] = mapped_column(String(80), default=None)
    marks: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    dismissed: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)
