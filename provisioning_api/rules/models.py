"""The table of rules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from provisioning_api.tables import ProvisioningBase
from soundstage.database import utcnow


class RuleRow(ProvisioningBase):
    """One rule; they are looked at by name, and every one that fits acts."""

    __tablename__ = "rules"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    sentence: Mapped[str] = mapped_column(String(300))
    enabled: Mapped[bool]
    when: Mapped[dict[str, Any]] = mapped_column(JSON)
    then: Mapped[dict[str, Any]] = mapped_column(JSON)
    changed_by: Mapped[str] = mapped_column(String(200))
    changed_at: Mapped[datetime] = mapped_column(default=utcnow)
