"""Tells whether videos are made at all; for the health of the installation, over all tenants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from soundstage.database import Database, utcnow
from soundstage.database.counting import count_by, oldest_age_s
from soundstage.database.tenants import bypass_tenant_filter
from studio.renders.models import Render
from studio.renders.states import RenderState

RECENT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class QueueState:
    """Numbers of renders; `recently_…` of the last 24 hours."""

    queued: int
    active: int
    oldest_wait_s: float
    recently_done: int
    recently_failed: int


async def read_queue_state(database: Database) -> QueueState:
    counts = await count_by(database, Render.state)
    return QueueState(
        queued=counts.get(RenderState.QUEUED, 0),
        active=counts.get(RenderState.RUNNING, 0) + counts.get(RenderState.DISPATCHED, 0),
        oldest_wait_s=await oldest_age_s(database, Render.created_at, Render.state == RenderState.QUEUED),
        recently_done=await _recently(database, RenderState.DONE),
        recently_failed=await _recently(database, RenderState.FAILED),
    )


async def _recently(database: Database, state: RenderState) -> int:
    query = select(func.count()).where(Render.state == state, Render.finished_at > utcnow() - RECENT)
    with bypass_tenant_filter():
        async with database.session() as session:
            return await session.scalar(query) or 0
