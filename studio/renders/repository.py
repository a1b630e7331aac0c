"""All SQL on renders, their outputs and segments."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select, update
from sqlalchemy.orm import defer

from soundstage.database.repository import Repository
from studio.renders.models import Render, RenderOutput, RenderSegment, Segment
from studio.renders.states import ACTIVE, TERMINAL, RenderState

_BY_STATE = case(
    (Render.state == RenderState.RUNNING, 0), (Render.state == RenderState.DISPATCHED, 1), else_=2
)
"""What runs, what a process has taken, what waits for one."""


class Renders(Repository[Render]):
    async def find_by_ending(self, text: str) -> Sequence[Render]:
        """Renders whose id ends so: people type the last characters, as file names show them."""
        return await self._all(select(Render).where(Render.id.endswith(text, autoescape=True)).limit(2))

    async def next_queued(self, without: Collection[str], limit: int) -> Sequence[str]:
        """Ids in the order in which they shall start."""
        return await self._all(
            select(Render.id)
            .where(Render.state == RenderState.QUEUED, Render.id.not_in(without))
            .order_by(Render.priority.desc(), Render.created_at, Render.id)
            .limit(limit)
        )

    async def list_with_deadline(self) -> Sequence[str]:
        """Ids of those that are not ready and are wanted at some time, the soonest first."""
        return await self._all(
            select(Render.id)
            .where(Render.state.not_in(TERMINAL), Render.ready_by.is_not(None))
            .order_by(Render.ready_by, Render.id)
        )

    async def list_ahead_of(self, render: Render, limit: int) -> Sequence[Render]:
        """Returns the renders that start before it."""
        if render.state != RenderState.QUEUED:
            return ()
        return await self._all(
            select(Render).where(Render.state == RenderState.QUEUED, _sooner(render)).limit(limit)
        )

    async def count_queued(self) -> int:
        return await self._count(select(func.count(Render.id)).where(Render.state == RenderState.QUEUED))

    async def ahead_of(self, render: Render) -> int:
        """Returns how many start before a queued one: all that a process has taken, and queued ones."""
        taken = Render.state == RenderState.DISPATCHED
        queued = and_(Render.state == RenderState.QUEUED, _sooner(render))
        return await self._count(select(func.count(Render.id)).where(or_(taken, queued)))

    async def to_cancel(self) -> Sequence[str]:
        return await self._all(select(Render.id).where(Render.cancel_requested, Render.state.in_(ACTIVE)))

    async def active_priorities(self) -> Sequence[tuple[str, int]]:
        """Id and priority of those that are made."""
        rows = await self._session.execute(select(Render.id, Render.priority).where(Render.state.in_(ACTIVE)))
        return [(row[0], row[1]) for row in rows]

    async def active(self) -> Sequence[Render]:
        return await self._all(select(Render).where(Render.state.in_(ACTIVE)))

    async def list_unfinished_in_order(self) -> Sequence[Render]:
        """Returns what is made, then what waits, in the order in which it will run. Without spec and log,
        which may be long.
        """
        return await self._all(
            select(Render)
            .options(defer(Render.spec, raiseload=True), defer(Render.worker_log, raiseload=True))
            .where(Render.state.not_in(TERMINAL))
            .order_by(_BY_STATE, Render.priority.desc(), Render.created_at, Render.id)
        )

    async def list_waiting_ids(self) -> Sequence[str]:
        """Ids of those that no worker has begun, in the order in which they will run."""
        return await self._all(
            select(Render.id)
            .where(Render.state.in_((RenderState.DISPATCHED, RenderState.QUEUED)))
            .order_by(_BY_STATE, Render.priority.desc(), Render.created_at, Render.id)
        )

    async def find_active_by_traces(self, traces: Collection[str]) -> dict[str, tuple[str, str]]:
        """Id and title of those that are made, by trace; of several with one trace the newest."""
        rows = await self._session.execute(
            select(Render.trace_id, Render.id, Render.title)
            .where(Render.state.in_(ACTIVE), Render.trace_id.in_(traces))
            .order_by(Render.created_at)
        )
        return {str(row[0]): (row[1], row[2]) for row in rows}

    async def list_unfinished(self) -> Sequence[str]:
        """Ids of those that wait or are made."""
        return await self._all(select(Render.id).where(Render.state.not_in(TERMINAL)))

    async def list_ended_before(self, moment: datetime) -> Sequence[Render]:
        return await self._all(select(Render).where(Render.state.in_(TERMINAL), Render.finished_at < moment))

    async def list_trashed_before(self, moment: datetime, limit: int) -> Sequence[Render]:
        query = select(Render).where(Render.trashed_at < moment)
        return await self._all(query.order_by(Render.trashed_at).limit(limit))

    async def with_ids(self, ids: Collection[str]) -> Sequence[Render]:
        return await self._all(select(Render).where(Render.id.in_(ids)))

    async def remove(self, ids: Collection[str]) -> None:
        """With their outputs and their list of segments; the segments themselves stay."""
        for table in (RenderOutput, RenderSegment):
            await self._session.execute(delete(table).where(table.render_id.in_(ids)))
        await self._session.execute(delete(Render).where(Render.id.in_(ids)))

    async def latest_of_projects(self, project_ids: Collection[str]) -> Sequence[Render]:
        """Returns the newest finished video of each project that has one; those in the trash do not count."""
        if not project_ids:
            return ()
        finished = (
            Render.project_id.in_(project_ids),
            Render.kind == "video",
            Render.state == RenderState.DONE,
            Render.trashed_at.is_(None),
        )
        # Ids grow with time.
        newest = select(func.max(Render.id)).where(*finished).group_by(Render.project_id)
        query = select(Render).where(Render.id.in_(newest))
        return await self._all(query.options(defer(Render.spec, raiseload=True), defer(Render.worker_log)))

    async def outputs(self, ids: Collection[str]) -> Sequence[RenderOutput]:
        if not ids:
            return ()
        return await self._all(select(RenderOutput).where(RenderOutput.render_id.in_(ids)))

    async def set_outputs(self, render_id: str, outputs: Sequence[RenderOutput]) -> None:
        await self._session.execute(delete(RenderOutput).where(RenderOutput.render_id == render_id))
        self._session.add_all(outputs)
        await self._session.flush()


def _sooner(render: Render) -> ColumnElement[bool]:
    return or_(
        Render.priority > render.priority,
        (Render.priority == render.priority) & (Render.created_at < render.created_at),
    )


class Segments(Repository[Segment]):
    async def find_finished(self, keys: Collection[str]) -> set[str]:
        """Returns the keys of those that are done."""
        return await self._set(
            select(Segment.key).where(Segment.key.in_(keys), Segment.state == RenderState.DONE)
        )

    async def of_render(self, render_id: str) -> Sequence[tuple[RenderSegment, Segment | None]]:
        """In the order of the scenes."""
        rows = await self._session.execute(
            select(RenderSegment, Segment)
            .outerjoin(Segment, Segment.key == RenderSegment.segment_key)
            .where(RenderSegment.render_id == render_id)
            .order_by(RenderSegment.position)
        )
        return [(link, segment) for link, segment in rows]

    async def link(self, render_id: str, keys: Sequence[tuple[str, str]]) -> None:
        """`keys`: scene id and segment key, in order."""
        await self._session.execute(delete(RenderSegment).where(RenderSegment.render_id == render_id))
        for position, (scene_id, key) in enumerate(keys):
            self._session.add(
                RenderSegment(render_id=render_id, position=position, scene_id=scene_id, segment_key=key)
            )
        await self._session.flush()

    async def mark_reused(self, render_id: str, key: str, reused: bool) -> None:
        await self._session.execute(
            update(RenderSegment)
            .where(RenderSegment.render_id == render_id, RenderSegment.segment_key == key)
            .values(reused=reused)
        )

    async def in_use(self) -> set[str]:
        """Keys that a queued or running render needs."""
        return await self._set(
            select(RenderSegment.segment_key)
            .join(Render, Render.id == RenderSegment.render_id)
            .where(Render.state.in_({RenderState.QUEUED, *ACTIVE}))
        )

    async def find_unfinished(self, render_id: str) -> set[str]:
        """Under which names its workers list what they keep for a second try (`SegmentTask.unfinished`), save
        what another render goes on with.
        """
        own = {link.segment_key for link, _ in await self.of_render(render_id)}
        others = await self._set(
            select(RenderSegment.segment_key)
            .join(Render, Render.id == RenderSegment.render_id)
            .where(
                RenderSegment.segment_key.in_(own),
                Render.id != render_id,
                Render.state.in_({RenderState.QUEUED, *ACTIVE}),
                Render.cancel_requested.is_(False),
            )
        )
        return {render_id, *own} - others

    async def by_last_use(self) -> Sequence[Segment]:
        """Longest unused first."""
        return await self._all(select(Segment).order_by(Segment.used_at, Segment.key))

    async def remove(self, keys: Collection[str]) -> None:
        await self._session.execute(delete(Segment).where(Segment.key.in_(keys)))
