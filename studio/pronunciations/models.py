"""The table of pronunciations."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, new_id, utcnow
from soundstage.database.tenants import TenantOwned


class PronunciationRow(TenantOwned, Base):
    """`word` as people write it; `key` is the same without case, by which it is found."""

    __tablename__ = "pronunciations"
    __table_args__ = (UniqueConstraint("tenant", "key"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("pro"))
    key: Mapped[str] = mapped_column(String(200))
    word: Mapped[str] = mapped_column(String(64))
    spoken: Mapped[str] = mapped_column(String(200))
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)
