"""The table of uploads that come in pieces."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, new_id, utcnow
from soundstage.database.tenants import TenantOwned


class ResumableUpload(TenantOwned, Base):
    """An upload in parts; its offset is the size of its staging file. `creator` is the id of its principal;
    `asset_id` is the asset once it is complete.
    """

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("upl"))
    creator: Mapped[str] = mapped_column(String(200))
    length: Mapped[int] = mapped_column(BigInteger)
    labels: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    upload_metadata: Mapped[str] = mapped_column("told", Text, default="")
    """`Upload-Metadata` as it came."""
    asset_id: Mapped[str | None] = mapped_column(String(40), default=None)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime] = mapped_column(index=True)
