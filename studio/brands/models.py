"""The table of brand kits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, new_id, utcnow
from soundstage.database.tenants import TenantOwned


class Brand(TenantOwned, Base):
    """`key` is the name without case, so that there are not two of one name. `kit` is `schemas.BrandKit` as
    JSON; its files are blobs, held by the owner `brand:<id>`.
    """

    __tablename__ = "brands"
    __table_args__ = (UniqueConstraint("tenant", "key"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("brd"))
    key: Mapped[str] = mapped_column(String(800))
    name: Mapped[str] = mapped_column(String(80))
    kit: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)
