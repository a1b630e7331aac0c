"""Tables of healing cases, and of the power cycles and reinstallations that count against limits."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning_api.healing.states import HealingState
from provisioning_api.tables import ProvisioningBase
from soundstage.database import new_id, utcnow

_IS_OPEN = text("ended_at IS NULL")


class HealingCase(ProvisioningBase):
    """One failure of one machine, from its first sight to its end. `since`: when its state began; `errors`:
    failed calls of its BMC in this state; `acted`: a reinstallation has started the machine; `spare_id`: the
    machine that takes its place.
    """

    __tablename__ = "healing_cases"
    # At most one open case of a machine, however many processes look.
    __table_args__ = (
        Index(
            "uq_healing_cases_open", "machine_id", unique=True,
            sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN,
        ),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("heal"))
    machine_id: Mapped[str] = mapped_column(ForeignKey("machines.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(String(20), default=HealingState.WAITING, index=True)
    cause: Mapped[str] = mapped_column(String(20))
    finding: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, default="")
    consent: Mapped[str] = mapped_column(String(20), default="")
    errors: Mapped[int] = mapped_column(default=0)
    acted: Mapped[bool] = mapped_column(default=False)
    spare_id: Mapped[str | None] = mapped_column(String(40), default=None)
    trace_id: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    since: Mapped[datetime] = mapped_column(default=utcnow)
    next_at: Mapped[datetime] = mapped_column(default=utcnow)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)


class HealingAction(ProvisioningBase):
    """A power cycle or reinstallation, written before it is done: a crash never frees a budget."""

    __tablename__ = "healing_actions"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("hact"))
    case_id: Mapped[str] = mapped_column(ForeignKey("healing_cases.id", ondelete="CASCADE"), index=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machines.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
