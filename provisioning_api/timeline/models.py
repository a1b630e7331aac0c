"""The table of spans."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from provisioning_api.tables import ProvisioningBase
from soundstage.database import new_id


class SpanRow(ProvisioningBase):
    """A span of one machine's work, by our clock."""

    __tablename__ = "spans"
    __table_args__ = (Index("ix_spans_machine_at", "machine_id", "started_at"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("spn"))
    machine_id: Mapped[str] = mapped_column(ForeignKey("machines.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    source: Mapped[str] = mapped_column(String(20))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime]
