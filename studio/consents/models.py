"""The table of consents."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, new_id, utcnow
from soundstage.database.tenants import TenantOwned


class ConsentRow(TenantOwned, Base):
    """Consent of a person to be shown or heard: who, when and what for. A revoked one stays until the
    person's data is erased.
    """

    __tablename__ = "consents"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("cns"))
    person: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(Text)
    granted_at: Mapped[datetime]
    evidence_sha256: Mapped[str | None] = mapped_column(String(71), default=None)
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
