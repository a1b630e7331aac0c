"""Tables of runs, of the machines in them, and of what failed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning_api.tables import ProvisioningBase
from soundstage.database import new_id, utcnow


class Run(ProvisioningBase):
    """One run. `read_bytes` is how much of its event file was turned into events: both are committed
    together, so that none is told twice or lost, whenever this process dies.
    """

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("run"))
    state: Mapped[str] = mapped_column(String(20), index=True)
    playbook: Mapped[str] = mapped_column(String(200))
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    check: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str] = mapped_column(String(200))
    requested_by: Mapped[str] = mapped_column(String(200))
    retry_of: Mapped[str | None] = mapped_column(String(40), default=None)
    read_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    cancel_wanted: Mapped[bool] = mapped_column(default=False)
    cause: Mapped[str] = mapped_column(Text, default="")
    hint: Mapped[str] = mapped_column(Text, default="")
    trace_id: Mapped[str | None] = mapped_column(String(32), default=None)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)


class RunMachine(ProvisioningBase):
    """A machine in a run; `result` is empty until it has ended: ok, failed, unreachable, unknown."""

    __tablename__ = "run_machines"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    machine_id: Mapped[str] = mapped_column(
        ForeignKey("machines.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    name: Mapped[str] = mapped_column(String(63))
    result: Mapped[str] = mapped_column(String(20), default="")
    changed: Mapped[int] = mapped_column(default=0)


class Failure(ProvisioningBase):
    """A failure of one machine in one run. `reported`: it has been written to TODO.md."""

    __tablename__ = "failures"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("fail"))
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machines.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(63))
    task: Mapped[str] = mapped_column(String(300))
    cause: Mapped[str] = mapped_column(Text)
    hint: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(default=utcnow)
    reported: Mapped[bool] = mapped_column("noted", default=False)
    solved_at: Mapped[datetime | None] = mapped_column(default=None)
