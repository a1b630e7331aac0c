"""Wire types of the queue."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from studio.renders.schemas import ForecastView, RenderSummary

MAX_CANCELLED = 500


class QueueEntry(RenderSummary):
    """A render that runs or waits. `position` is its place among all that wait, 1 for the next one, and
    counts those of others; None for one that runs. `why` says in one sentence why it does not run; empty
    when it does.
    """

    priority: int
    project_title: str
    started_at: datetime | None
    ready_by: datetime | None
    forecast: ForecastView | None
    position: int | None
    why: str


class QueueView(BaseModel):
    """Renders that are made now, and those that wait, in the order in which they will run. `total` counts all
    that wait.
    """

    running: list[QueueEntry]
    waiting: list[QueueEntry]
    total: int


class CancelRequest(BaseModel, extra="forbid"):
    """`plan`: the `sha256` of the plan that was shown; None cancels whatever the renders do now."""

    renders: list[str] = Field(min_length=1, max_length=MAX_CANCELLED, description="ids")
    plan: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class PlannedCancel(BaseModel):
    """One render that would end. `effect`: it leaves the queue, or its workers stop. Scenes that are finished
    stay for another try.
    """

    id: str
    title: str
    effect: Literal["leaves_queue", "stops"]
    frames_done: int
    frames_total: int
    scenes_done: int
    scenes_total: int


class CancelPlan(BaseModel):
    """`ended`: ids of those that are over already, which are left as they are."""

    renders: list[PlannedCancel]
    ended: list[str]
    sha256: str


class Cancelled(BaseModel):
    """Ids of renders that are cancelled or stop with their workers, and of those that had ended."""

    cancelled: list[str]
    ended: list[str]
