"""`soundstage gc`: plans first, then carries out the same plan. Nothing with a reference is ever
collected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.blobs import BlobStore, StoredBlob
from soundstage.database import Database, utcnow
from soundstage.database.tenants import bypass_tenant_filter
from soundstage.events import EventStore
from studio.references.repository import References
from studio.renders.delivery import delete_delivered_files
from studio.renders.journal import stream_of
from studio.renders.models import Render, Segment
from studio.renders.repository import Renders, Segments
from studio.renders.states import TERMINAL

MIB = 1 << 20


class Doomed(BaseModel):
    """One thing that goes, and why."""

    kind: str = Field(description="render, segment or blob")
    id: str
    bytes: int
    why: str


class Usage(BaseModel):
    """Bytes by kind of holder; a blob that two kinds hold counts for both."""

    stored_bytes: int
    held_bytes: dict[str, int]


class CollectionPlan(BaseModel):
    """`freed_bytes` is what the disk gets back; `over_quota_bytes` is what stays too much even then."""

    made_at: datetime
    items: list[Doomed] = Field(default_factory=list)
    out_files: list[str] = Field(default_factory=list)
    events: int = Field(default=0, description="how many old events go")
    events_before: datetime | None = Field(default=None, description="the moment before which they go")
    stored_bytes: int = 0
    freed_bytes: int = 0
    quota_bytes: int | None = None
    over_quota_bytes: int = 0
    applied: bool = False

    def of(self, kind: str) -> list[str]:
        return [item.id for item in self.items if item.kind == kind]


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """`render_days` None: finished renders stay; `event_days` None: so do events. `segment_mib` bounds the
    cache of segments.
    """

    render_days: int | None = None
    event_days: int | None = None
    unused_blob_hours: float = 24.0
    segment_mib: int = 20_480
    quota_mib: int | None = None


@dataclass(frozen=True, slots=True)
class RetentionService:
    """Runs without the tenant filter: its plans cover the rows of all tenants."""

    db: Database
    blobs: BlobStore
    rules: RetentionRules
    out_dir: Path
    events: EventStore

    async def usage(self) -> Usage:
        """Returns who takes the space."""
        with bypass_tenant_filter():
            async with self.db.session() as session:
                held = await References(session).bytes_by_kind()
        return Usage(stored_bytes=await self.blobs.usage_bytes(), held_bytes=held)

    async def plan(self, rules: RetentionRules | None = None) -> CollectionPlan:
        """Returns what would go now; changes nothing."""
        with bypass_tenant_filter():
            return await self._decide(rules or self.rules, utcnow())

    async def apply(self, rules: RetentionRules | None = None) -> CollectionPlan:
        """Plans and carries the plan out."""
        return await self.carry_out(await self.plan(rules))

    async def carry_out(self, plan: CollectionPlan) -> CollectionPlan:
        """Rows and holds first, then the blobs; what came into use since the plan was made is spared."""
        with bypass_tenant_filter():
            return await self._carry_out(plan)

    async def _carry_out(self, plan: CollectionPlan) -> CollectionPlan:
        async with self.db.transaction() as session:
            references = References(session)
            in_use = await Segments(session).in_use()
            segments = [key for key in plan.of("segment") if key not in in_use]
            rows = await Renders(session).with_ids(plan.of("render"))
            renders = [row.id for row in rows if row.state in TERMINAL]
            out_files = [name for row in rows if row.id in renders for name in row.out_files]
            for owner in (*(f"render:{one}" for one in renders), *(f"segment:{key}" for key in segments)):
                await references.release(owner)
            await Renders(session).remove(renders)
            await Segments(session).remove(segments)
            if plan.events_before is not None:
                await self.events.prune(session, plan.events_before, await _unfinished_streams(session))
        async with self.db.session() as session:
            held = await References(session).all_hashes()
        for sha256 in plan.of("blob"):
            if sha256 not in held:
                await self.blobs.delete(sha256, unless_modified_since=plan.made_at, strictly=True)
        await asyncio.to_thread(delete_delivered_files, out_files, self.out_dir)
        return plan.model_copy(update={"applied": True})

    async def _decide(self, rules: RetentionRules, now: datetime) -> CollectionPlan:
        stored = {blob.sha256: blob async for blob in self.blobs.iterate()}
        async with self.db.session() as session:
            renders = await _old_renders(session, rules, now)
            segments = await _unused_segments(session)
            evicted = _over_size(segments, rules.segment_mib * MIB)
            grace = now - timedelta(hours=rules.unused_blob_hours)
            owners = _owners(renders, evicted)
            doomed = await _free_blobs(session, stored, owners, grace)
            unfinished = await _unfinished_streams(session)
            if rules.quota_mib is not None:
                for segment in segments:
                    if _left(stored, doomed) <= rules.quota_mib * MIB:
                        break
                    if segment not in evicted:
                        evicted = [*evicted, segment]
                        doomed = await _free_blobs(session, stored, _owners(renders, evicted), grace)
        left = _left(stored, doomed)
        events_before = now - timedelta(days=rules.event_days) if rules.event_days is not None else None
        quota = rules.quota_mib * MIB if rules.quota_mib is not None else None
        items = [
            *(
                Doomed(kind="render", id=row.id, bytes=0, why=f"older than {rules.render_days} days")
                for row in renders
            ),
            *(Doomed(kind="segment", id=row.key, bytes=row.bytes, why="longest unused") for row in evicted),
            *(
                Doomed(kind="blob", id=sha, bytes=stored[sha].bytes, why="nothing refers to it")
                for sha in doomed
            ),
        ]
        return CollectionPlan(
            made_at=now,
            out_files=[name for row in renders for name in row.out_files],
            items=items,
            events=await self.events.count_prunable(events_before, unfinished) if events_before else 0,
            events_before=events_before,
            stored_bytes=sum(blob.bytes for blob in stored.values()),
            freed_bytes=sum(stored[sha].bytes for sha in doomed),
            quota_bytes=quota,
            over_quota_bytes=max(0, left - quota) if quota is not None else 0,
        )


async def _old_renders(session: AsyncSession, rules: RetentionRules, now: datetime) -> Sequence[Render]:
    if rules.render_days is None:
        return ()
    return await Renders(session).list_ended_before(now - timedelta(days=rules.render_days))


async def _unfinished_streams(session: AsyncSession) -> set[str]:
    """Streams that people still follow to an end."""
    return {stream_of(render_id) for render_id in await Renders(session).list_unfinished()}


async def _unused_segments(session: AsyncSession) -> list[Segment]:
    """Longest unused first, without those that a queued or running render needs."""
    segments = Segments(session)
    in_use = await segments.in_use()
    return [segment for segment in await segments.by_last_use() if segment.key not in in_use]


def _over_size(segments: Sequence[Segment], limit: int) -> list[Segment]:
    """The longest unused ones, as many as it takes to get under the limit."""
    total = sum(segment.bytes for segment in segments)
    evicted = []
    for segment in segments:
        if total <= limit:
            break
        evicted.append(segment)
        total -= segment.bytes
    return evicted


def _owners(renders: Sequence[Render], segments: Sequence[Segment]) -> set[str]:
    return {*(f"render:{row.id}" for row in renders), *(f"segment:{row.key}" for row in segments)}


async def _free_blobs(
    session: AsyncSession, stored: dict[str, StoredBlob], owners: Collection[str], grace: datetime
) -> list[str]:
    """Blobs without a holder: orphans after the grace time, and at once those that `owners` let go."""
    references = References(session)
    released = await references.all_held_by(owners)
    still_held = await references.filter_held_by_others(released, owners)
    held = await references.all_hashes()
    orphans = {sha for sha, blob in stored.items() if sha not in held and blob.modified < grace}
    return sorted((released - still_held) & stored.keys() | orphans)


def _left(stored: dict[str, StoredBlob], doomed: Collection[str]) -> int:
    gone = set(doomed)
    return sum(blob.bytes for sha, blob in stored.items() if sha not in gone)
