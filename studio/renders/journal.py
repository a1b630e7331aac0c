"""Writes down what happens to a render: its row and the event of it, always in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avatar.spec import Failed, Notice
from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit import AuditEntry, AuditLog
from soundstage.database import Database, on_commit, utcnow
from soundstage.database.tenants import tenant_attribute
from soundstage.events import EventStore
from soundstage.telemetry import metrics
from studio.renders.models import Render
from studio.renders.repository import Renders
from studio.renders.schemas import Progress
from studio.renders.states import RENDER_TRANSITIONS, TERMINAL, RenderState


def stream_of(render_id: str) -> str:
    """The event stream of one render."""
    return f"render:{render_id}"


class RenderJournal:
    """Event kinds: render.created, render.state, render.progress, render.warning, render.segment,
    render.cancel_requested, render.forecast, render.changed, render.trashed, render.restored, render.deleted.
    """

    def __init__(self, db: Database, events: EventStore, audit: AuditLog) -> None:
        self.db = db
        self._events = events
        self._audit = audit

    async def tell(self, session: AsyncSession, render: Render, kind: str, data: dict[str, Any]) -> None:
        attributed = {**data, **tenant_attribute(render.tenant)}
        await self._events.append(session, stream_of(render.id), kind, attributed, trace_id=render.trace_id)

    async def record_creation(self, session: AsyncSession, render: Render) -> None:
        data = {"id": render.id, "title": render.title, "kind": render.kind, "state": render.state}
        await self.tell(session, render, "render.created", data)

    async def record_deletion(self, session: AsyncSession, render: Render) -> None:
        """Records that it was deleted, also in the audit log."""
        await self.tell(session, render, "render.deleted", {"id": render.id, "title": render.title})
        await self._record(session, render, "render.deleted", "studio")

    async def record_edit(self, session: AsyncSession, render: Render, kind: str, by: str) -> None:
        """Records a change of its title, tags or priority, or of its place in the trash, also in the audit
        log.
        """
        data = {"id": render.id, "title": render.title, "tags": render.tags, "priority": render.priority}
        await self.tell(session, render, kind, {**data, "by": by})
        await self._record(session, render, kind, by)

    async def record_cancel_request(self, session: AsyncSession, render: Render, by: str) -> None:
        """Records who wants it to end; how it ends is recorded when it has."""
        await self._record(session, render, "render.cancel_requested", by)

    async def _record(self, session: AsyncSession, render: Render, kind: str, actor: str) -> None:
        line = AuditEntry(
            kind=kind,
            actor=actor,
            subject=render.id,
            trace_id=render.trace_id,
            tenant=render.tenant,
            data={"priority": render.priority},
            redactable={"title": render.title},
        )
        await self._audit.record(session, line)

    async def move(
        self,
        session: AsyncSession,
        render: Render,
        state: RenderState,
        *,
        error: Failed | None = None,
        why: str = "",
    ) -> None:
        """Raises `render.bad_transition`. Leaves times, error and the cancel mark as the new state wants
        them.
        """
        render.state = RENDER_TRANSITIONS.move(RenderState(render.state), state)
        render.error = error.model_dump(mode="json", exclude={"event"}) if error else None
        if state is RenderState.RUNNING:
            render.started_at = render.started_at or utcnow()
            render.waits = ""
        if state in TERMINAL:
            render.finished_at = utcnow()
            render.waits = ""
        if state in TERMINAL or state is RenderState.QUEUED:
            render.cancel_requested = False
        data: dict[str, Any] = {
            "id": render.id,
            "kind": render.kind,
            "state": state,
            "attempt": render.attempt,
            "title": render.title,
        }
        if render.error is not None:
            data["error"] = render.error
        if why:
            data["why"] = why
        await self.tell(session, render, "render.state", data)
        if state in TERMINAL:
            on_commit(session, lambda: _measure(render, state))
            await self._audit.record(session, await _ending(session, render))

    async def move_if(self, render_id: str, expected: frozenset[RenderState], state: RenderState) -> bool:
        """Moves when it is in one of the `wanted` states; False when another process has moved it
        meanwhile.
        """
        async with self.db.transaction() as session:
            render = await Renders(session).find(render_id)
            if render is None or render.state not in expected:
                return False
            await self.move(session, render, state)
            return True

    async def progress(
        self, render_id: str, progress: Progress, notices: Sequence[Notice], waits: str
    ) -> None:
        """One row update and at most one progress event; warnings come as their own events, at once."""
        async with self.db.transaction() as session:
            render = await Renders(session).find(render_id)
            if render is None:
                return
            shown = progress.model_dump(mode="json")
            if shown != render.progress or waits != render.waits:
                render.progress, render.waits = shown, waits
                await self.tell(
                    session, render, "render.progress", {"id": render_id, **shown, "waits": waits}
                )
            if notices:
                lines = [notice.model_dump(mode="json", exclude={"event"}) for notice in notices]
                render.warnings = [*render.warnings, *lines]
                for line in lines:
                    await self.tell(session, render, "render.warning", {"id": render_id, **line})


async def _ending(session: AsyncSession, render: Render) -> AuditEntry:
    """The end of a story: which files there are now, or why there are none."""
    files = await Renders(session).outputs([render.id])
    hashes = {file.name: file.sha256 for file in files}
    data = {"state": render.state, "files": hashes, "error": render.error}
    kind = "artefact.made" if render.state == RenderState.DONE else f"render.{render.state}"
    return AuditEntry(
        kind=kind,
        actor="farm",
        subject=render.id,
        trace_id=render.trace_id,
        tenant=render.tenant,
        data=data,
        redactable={"title": render.title},
    )


def _measure(render: Render, state: RenderState) -> None:
    metrics.RENDERS_FINISHED.inc(state)
    if state is RenderState.DONE and render.started_at is not None and render.finished_at is not None:
        engines = {str(use["engine"]) for use in render.progress.get("engines", ())}
        seconds = (render.finished_at - render.started_at).total_seconds()
        metrics.RENDER_SECONDS.observe(seconds, metrics.engine_of(engines), trace=render.trace_id)
