"""Empties the trash of all tenants in the background; the server runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from soundstage.background import LeaderLock, Worker
from soundstage.database import Database, utcnow
from soundstage.database.tenants import bypass_tenant_filter, tenant_bypass_context, tenant_scope
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger
from studio.projects.models import Project
from studio.projects.repository import Projects
from studio.projects.service import ProjectService
from studio.renders.models import Render
from studio.renders.repository import Renders
from studio.renders.service import RenderService

POLL_S = 3600.0
NEXT_BATCH_S = 1.0
BATCH = 100
"""How many of each kind are deleted in one go."""

log = get_logger(__name__)


@dataclass
class TrashService:
    """Start and close `worker` with the server. `days` None: what is in the trash stays there."""

    db: Database
    projects: ProjectService
    renders: RenderService
    days: int | None
    lock: LeaderLock

    def __post_init__(self) -> None:
        self.worker = Worker(
            "trash", self._poll, poll_s=POLL_S, lock=self.lock, context=tenant_bypass_context
        )

    async def _poll(self) -> float | None:
        return NEXT_BATCH_S if await self.empty(utcnow()) >= BATCH else None

    async def empty(self, now: datetime) -> int:
        """Deletes what has been in the trash for longer than the days, a batch of it; returns how many things
        were due.
        """
        if self.days is None:
            return 0
        before = now - timedelta(days=self.days)
        due = await self._due(before)
        for row in due:
            await self._delete(row, before)
        return len(due)

    async def _due(self, before: datetime) -> Sequence[Project | Render]:
        with bypass_tenant_filter():
            async with self.db.session() as session:
                projects = await Projects(session).list_trashed_before(before, BATCH)
                return [*projects, *await Renders(session).list_trashed_before(before, BATCH)]

    async def _delete(self, row: Project | Render, before: datetime) -> None:
        """Spares what somebody has restored meanwhile."""
        with tenant_scope(row.tenant):
            try:
                if isinstance(row, Project):
                    await self.projects.delete(row.id, by="trash", trashed_before=before)
                else:
                    await self.renders.delete(row.id, trashed_before=before)
            except SoundstageError as error:
                # Somebody else was faster, or it is in use again: the next poll looks again.
                log.info("trash.not_deleted", id=row.id, code=error.code)
