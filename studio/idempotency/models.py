"""The table of idempotency keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, utcnow
from soundstage.database.tenants import TenantOwned


class IdempotencyKey(TenantOwned, Base):
    """The resource that a principal's key created; written in the transaction that creates the resource."""

    __tablename__ = "idempotency_keys"

    principal: Mapped[str] = mapped_column(String(80), primary_key=True)
    operation: Mapped[str] = mapped_column(String(40), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(71))
    resource_id: Mapped[str] = mapped_column("made", String(40))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime] = mapped_column(index=True)
