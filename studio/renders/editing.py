"""Verbs on videos that change no file: title, tags, priority, into the trash and out of it. Called by the
routes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit import AuditLog
from soundstage.database import Database, utcnow
from soundstage.events import EventStore
from studio.renders.journal import RenderJournal
from studio.renders.models import Render
from studio.renders.planning import refuse_active, refuse_ended, refuse_trashed
from studio.renders.repository import Renders
from studio.renders.schemas import RenderChange, RenderView
from studio.renders.service import render_of
from studio.renders.views import view_of


@dataclass(frozen=True, slots=True)
class RenderEditing:
    db: Database
    events: EventStore
    audit: AuditLog
    wake: Callable[[], None]

    async def change(self, ref: str, change: RenderChange, *, by: str) -> RenderView:
        """Gives it another title, other tags or another priority. Raises `render.in_trash`, and
        `render.ended` for the priority of one that neither waits nor runs.
        """
        async with self.db.transaction() as session:
            row = await render_of(session, ref)
            refuse_trashed(row)
            if change.priority is not None:
                refuse_ended(row)
            fields = change.model_dump(exclude_unset=True, exclude_none=True)
            for name, value in fields.items():
                setattr(row, name, value)
            await self._record(session, row, "render.changed", by)
            view = await _view(session, row)
        if "priority" in fields:
            self.wake()
        return view

    async def trash(self, ref: str, *, by: str) -> None:
        """Moves it to the trash with its files; nothing happens to one that is there. Raises
        `render.active`.
        """
        async with self.db.transaction() as session:
            row = await render_of(session, ref)
            refuse_active(row)
            if row.trashed_at is None:
                row.trashed_at = utcnow()
                await self._record(session, row, "render.trashed", by)

    async def restore(self, ref: str, *, by: str) -> RenderView:
        """Takes it out of the trash as it was; nothing happens to one that is not there."""
        async with self.db.transaction() as session:
            row = await render_of(session, ref)
            if row.trashed_at is not None:
                row.trashed_at = None
                await self._record(session, row, "render.restored", by)
            return await _view(session, row)

    async def _record(self, session: AsyncSession, row: Render, kind: str, by: str) -> None:
        await RenderJournal(self.db, self.events, self.audit).record_edit(session, row, kind, by)


async def _view(session: AsyncSession, row: Render) -> RenderView:
    return view_of(row, await Renders(session).outputs([row.id]))
