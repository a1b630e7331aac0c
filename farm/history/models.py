"""The table of measured runs: how long a task of some kind took for some amount of work."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from soundstage.database import Base, new_id, utcnow


class FarmRun(Base):
    """One task that has ended well. `work` is counted as in farm.history.run_times."""

    __tablename__ = "farm_runs"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("run"))
    stage: Mapped[str] = mapped_column(String(100), index=True)
    work: Mapped[float]
    seconds: Mapped[float]
    ended_at: Mapped[datetime] = mapped_column(default=utcnow)
