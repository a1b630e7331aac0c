"""Says whether a render will be ready when it is wanted, and says it again while things change; run by the
dispatcher in the process that drives.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from avatar.spec import RenderSpec

from farm.history import RunTimes, work_of
from farm.needs import Needs
from farm.placement.deadline import AT_ONCE, Forecast, Job, forecast
from farm.placement.history import Estimate
from farm.scheduler import Scheduler
from soundstage.database import Database
from studio.renders.journal import RenderJournal
from studio.renders.making import spec_of
from studio.renders.models import Render
from studio.renders.planning import ASSEMBLY
from studio.renders.repository import Renders, Segments
from studio.renders.schemas import ForecastView
from studio.renders.segments import segment_key
from studio.renders.states import TERMINAL, RenderState

FORECAST_POLL_S = 2.0
MAX_AHEAD = 100
"""So many waiting renders are counted; who has more before it waits too long for any forecast."""

Steps = list[Estimate | None]


class Forecaster:
    """`look` is called again and again by the process that drives."""

    def __init__(
        self, journal: RenderJournal, scheduler: Scheduler, times: RunTimes, worker_version: str
    ) -> None:
        self._journal = journal
        self._db: Database = journal.db
        self._scheduler = scheduler
        self._times = times
        self._worker_version = worker_version

    async def poll(self) -> None:
        """Forecasts each unfinished render that is wanted by a time."""
        async with self._db.session() as session:
            render_ids = await Renders(session).list_with_deadline()
        for render_id in render_ids:
            await self._tell(render_id)

    async def _tell(self, render_id: str) -> None:
        async with self._db.session() as session:
            row = await Renders(session).find(render_id)
            if row is None or row.ready_by is None:
                return
            left = await self._left(Segments(session), row)
            before = await Renders(session).list_ahead_of(row, MAX_AHEAD)
        view = view_of_forecast(await self._forecast(row, row.ready_by, left, before))
        async with self._db.transaction() as session:
            row = await Renders(session).find(render_id)
            if row is None or row.state in TERMINAL:
                return
            last = None if row.forecast is None else ForecastView.model_validate(row.forecast)
            if last is not None and (last.verdict, last.sentence) == (view.verdict, view.sentence):
                return
            row.forecast = view.model_dump(mode="json")
            await self._journal.tell(session, row, "render.forecast", {"id": row.id, **row.forecast})

    async def _forecast(
        self, row: Render, ready_by: datetime, left: Sequence[str], before: Sequence[Render]
    ) -> Forecast:
        availability = await self._scheduler.availability(_largest(row), row.trace_id or "")
        ahead: Steps = [self._times.estimate(one.kind, one.needs, one.work) for one in availability.ahead]
        for other in before:
            ahead += self._steps(other, None)
        finish: Estimate | None = AT_ONCE
        if row.kind == "video":
            finish = self._times.estimate("assemble", ASSEMBLY, work_of(row.spec))
        job = Job(self._steps(row, left), finish, ahead)
        return forecast(job, availability.places, time.time(), ready_by.timestamp())

    async def _left(self, segments: Segments, row: Render) -> list[str]:
        """Ids of the scenes that are still to be made."""
        spec = spec_of(row)
        if not isinstance(spec, RenderSpec):
            return []
        left = []
        for scene in spec.scenes:
            key = segment_key(spec.scene_hash(scene.id), self._worker_version, row.tenant)
            segment = await segments.find(key)
            if segment is None or segment.state != RenderState.DONE:
                left.append(scene.id)
        return left

    def _steps(self, row: Render, left: Sequence[str] | None) -> Steps:
        """One per scene that is to be made (`left`; None: all of them)."""
        spec = spec_of(row)
        if not isinstance(spec, RenderSpec):
            return [
                self._times.estimate("lipsync", Needs.of(spec.face, spec.requirements), work_of(row.spec))
            ]
        if row.kind == "preview":
            scene = spec.scene(row.scene_id or spec.scenes[0].id)
            needs = Needs.of_scene(scene)
            return [self._times.estimate("preview", needs, work_of(row.spec, scene.id))]
        return [
            self._times.estimate("segment", Needs.of_scene(scene), work_of(row.spec, scene.id))
            for scene in spec.scenes
            if left is None or scene.id in left
        ]


def view_of_forecast(found: Forecast) -> ForecastView:
    return ForecastView(
        verdict=found.verdict.value,
        sentence=found.sentence,
        likely_at=_moment(found.likely_s),
        slow_at=_moment(found.slow_s),
        places=found.places,
    )


def _moment(at_s: float) -> datetime | None:
    return None if math.isinf(at_s) else datetime.fromtimestamp(at_s, UTC)


def _largest(row: Render) -> Needs:
    """Of its scenes the one that is hardest to place: a forecast may be late by that, never early."""
    spec = spec_of(row)
    if not isinstance(spec, RenderSpec):
        return Needs.of(spec.face, spec.requirements)
    return max(map(Needs.of_scene, spec.scenes), key=lambda one: (one.gpus, one.vram_mib, one.memory_mib))
