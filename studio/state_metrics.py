"""Reads the state gauges of renders, publications, webhooks and files, and the queue; for all tenants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from soundstage.database import Database, utcnow
from soundstage.database.counting import count_by, oldest_age_s
from soundstage.database.tenants import bypass_tenant_filter
from soundstage.telemetry import Metrics, metrics
from soundstage.telemetry.instruments import Sample
from studio.publishing.models import Publication
from studio.references.models import BlobReference
from studio.renders.models import Render
from studio.renders.states import RenderState
from studio.webhooks.models import Delivery

RARELY_S = 60.0
"""For statements that read a whole table."""
RECENT = timedelta(hours=24)


def read_studio_state(shown: Metrics, database: Database) -> None:
    """Adds the readers to `shown`."""

    async def work() -> Iterable[Sample]:
        waits_s = await oldest_age_s(database, Render.created_at, Render.state == RenderState.QUEUED)
        return (
            *metrics.RENDERS.count((await count_by(database, Render.state)).items()),
            metrics.RENDER_OLDEST_WAIT.sample(waits_s),
            *metrics.PUBLICATIONS.count((await count_by(database, Publication.state)).items()),
        )

    async def storage() -> Iterable[Sample]:
        return (
            metrics.BLOB_BYTES.sample(await _blob_bytes(database)),
            *metrics.DELIVERIES.count((await count_by(database, Delivery.state)).items()),
        )

    shown.read_state(work)
    shown.read_state(storage, RARELY_S)


async def _blob_bytes(database: Database) -> int:
    with bypass_tenant_filter():
        async with database.session() as session:
            each = select(func.max(BlobReference.bytes).label("bytes")).group_by(BlobReference.sha256)
            return int(await session.scalar(select(func.sum(each.subquery().c.bytes))) or 0)


@dataclass(frozen=True, slots=True)
class QueueState:
    """Numbers of renders; `recently_…` of the last 24 hours."""

    queued: int
    placed: int
    running: int
    oldest_wait_s: float
    recently_done: int
    recently_failed: int


async def read_queue_state(database: Database) -> QueueState:
    counts = await count_by(database, Render.state)
    return QueueState(
        queued=counts.get(RenderState.QUEUED, 0),
        placed=counts.get(RenderState.DISPATCHED, 0),
        running=counts.get(RenderState.RUNNING, 0),
        oldest_wait_s=await oldest_age_s(database, Render.created_at, Render.state == RenderState.QUEUED),
        recently_done=await _recently(database, RenderState.DONE),
        recently_failed=await _recently(database, RenderState.FAILED),
    )


async def _recently(database: Database, state: RenderState) -> int:
    query = select(func.count()).where(Render.state == state, Render.finished_at > utcnow() - RECENT)
    with bypass_tenant_filter():
        async with database.session() as session:
            return await session.scalar(query) or 0
