"""Reads the queue, and cancels what stands in it; the routes call it. Priorities are fields of renders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from soundstage.database import Database
from soundstage.database.tenants import bypass_tenant_filter
from soundstage.errors import Conflict
from soundstage.views import read_view
from studio.projects.repository import Projects
from studio.queue.schemas import (
    Cancelled,
    CancelPlan,
    CancelRequest,
    PlannedCancel,
    QueueEntry,
    QueueView,
)
from studio.renders.listing import picture_url
from studio.renders.models import Render
from studio.renders.repository import Renders
from studio.renders.schemas import Progress
from studio.renders.service import RenderService, render_of
from studio.renders.states import TERMINAL, RenderState
from studio.renders.views import explain_active, explain_queued


@dataclass(frozen=True, slots=True)
class QueueService:
    """`dispatcher_running`: whether any process takes renders from the queue."""

    db: Database
    renders: RenderService
    dispatcher_running: Callable[[], Awaitable[bool]]

    async def read(self, limit: int) -> QueueView:
        """Returns all that is made, and at most `limit` of those that wait."""
        is_driven = await self.dispatcher_running()
        async with self.db.session() as session:
            renders = Renders(session)
            rows = await renders.list_unfinished_in_order()
            with bypass_tenant_filter():
                # Ids alone: how long one waits depends on the others, whoever they belong to.
                places = {one: place for place, one in enumerate(await renders.list_waiting_ids(), start=1)}
            projects = {row.project_id for row in rows if row.project_id is not None}
            titles = await Projects(session).titles(projects)

        def entry(row: Render) -> QueueEntry:
            return _entry(row, titles.get(row.project_id or "", ""), places.get(row.id), is_driven=is_driven)

        waiting = [row for row in rows if row.state != RenderState.RUNNING]
        running = [row for row in rows if row.state == RenderState.RUNNING]
        return QueueView(
            running=[entry(row) for row in running],
            waiting=[entry(row) for row in waiting[:limit]],
            total=len(waiting),
        )

    async def plan_cancel(self, refs: Sequence[str]) -> CancelPlan:
        """Returns what cancelling would do; changes nothing. Raises `render.not_found`."""
        async with self.db.session() as session:
            found = {row.id: row for row in [await render_of(session, ref) for ref in refs]}
        going = [_planned(row) for row in found.values() if row.state not in TERMINAL]
        content = [[one.id, one.effect] for one in going]
        return CancelPlan(
            renders=going,
            ended=[row.id for row in found.values() if row.state in TERMINAL],
            sha256=hashlib.sha256(json.dumps(content).encode()).hexdigest(),
        )

    async def cancel(self, request: CancelRequest, *, by: str) -> Cancelled:
        """Cancels them one by one. Raises Conflict (`queue.plan_changed`), with none cancelled, when the plan
        is not the one that was shown any more.
        """
        plan = await self.plan_cancel(request.renders)
        if request.plan not in (None, plan.sha256):
            raise Conflict(
                "queue.plan_changed",
                "What would be cancelled has changed since it was shown. Nothing was cancelled.",
                "Read the plan again, and then agree to that.",
            )
        done, ended = [], [*plan.ended]
        for one in plan.renders:
            try:
                await self.renders.cancel(one.id, by=by)
                done.append(one.id)
            except Conflict as error:
                if error.code != "render.ended":
                    raise
                ended.append(one.id)
        return Cancelled(cancelled=done, ended=ended)


def _entry(row: Render, project_title: str, position: int | None, *, is_driven: bool) -> QueueEntry:
    why = ""
    if row.state == RenderState.QUEUED:
        why = explain_queued((position or 1) - 1, is_driven=is_driven)
    elif row.state == RenderState.DISPATCHED or row.waits:
        why = explain_active(row)
    return read_view(
        QueueEntry,
        row,
        progress=Progress.model_validate({**(row.progress or {}), "engines": []}),
        failed_scene=None,
        files=[],
        picture=picture_url(row, ()),
        project_title=project_title,
        position=position,
        why=why,
    )


def _planned(row: Render) -> PlannedCancel:
    progress = Progress.model_validate({**(row.progress or {}), "engines": []})
    effect = "stops" if row.state == RenderState.RUNNING else "leaves_queue"
    return read_view(PlannedCancel, progress, id=row.id, title=row.title, effect=effect)
