"""The table of announcements."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning_api.tables import ProvisioningBase
from soundstage.database import utcnow


class Announcement(ProvisioningBase):
    """One expected machine. `secret` is sealed. `machine_id`: the machine that proved the secret; no other
    may. `ends_at`: when it proves nothing any more; None for one that ends only when it is withdrawn.
    """

    __tablename__ = "announcements"

    serial: Mapped[str] = mapped_column(String(200), primary_key=True)
    secret: Mapped[str] = mapped_column(Text)
    announced_by: Mapped[str] = mapped_column(String(200))
    announced_at: Mapped[datetime] = mapped_column(default=utcnow)
    machine_id: Mapped[str | None] = mapped_column(
        ForeignKey("machines.id", ondelete="CASCADE"), default=None
    )
    ends_at: Mapped[datetime | None] = mapped_column(default=None)
