"""Runs queued renders in the one process that holds the lock, the leader; started by `soundstage up` and by
commands that wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from avatar.spec import Failed

from farm.failures import CANCELLED, TaskFailed
from farm.history import RunTimes
from farm.scheduler import Scheduler
from policy.audit import AuditLog
from soundstage.background import ItemWorker, Worker
from soundstage.blobs import BlobStore
from soundstage.database import OUTAGES, Database, patience
from soundstage.database.tenants import tenant_bypass_context, tenant_scope
from soundstage.errors import SoundstageError
from soundstage.events import EventStore
from soundstage.tasks import cancel_all
from soundstage.telemetry import get_logger, mask_text, trace
from studio.renders.delivery import delete_delivered_files
from studio.renders.forecasting import FORECAST_POLL_S, Forecaster
from studio.renders.journal import RenderJournal
from studio.renders.making import RENDER_DELETED, MakingOptions, RenderMaker
from studio.renders.repository import Renders, Segments
from studio.renders.running import Ending
from studio.renders.segments import SegmentPool
from studio.renders.states import ACTIVE, RenderState

PATIENCE_S = 60.0
"""A render waits so long for its database: a standby takes over within 30 s."""
RECORD_ATTEMPTS = 20
RECORD_RETRY_S = 1.0
LOG_CHARS = 16_000

INTERNAL = Failed(
    code="render.internal",
    message="The render ran into a fault of our own.",
    hint="See the log of the server under the render's trace id, then retry.",
)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DispatcherOptions:
    """`max_active` bounds how many renders are active at once; their segments queue by priority in the
    scheduler.
    """

    state_dir: Path
    making: MakingOptions
    # Whatever this process changes wakes the dispatcher; other processes write without a word.
    poll_s: float = 1.0
    max_active: int = 32


@dataclass(slots=True)
class _ActiveRender:
    """A render that this process runs. `stop` ends its work; with `requeue` it is then queued again instead
    of cancelled; `ending` says whether a user cancelled it.
    """

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    requeue: bool = False
    ending: Ending = field(default_factory=Ending)


class Dispatcher:
    """Runs between `start` and `close`, or in `async with`. Any number of processes may have one; one of them
    is the leader and runs renders.
    """

    def __init__(
        self,
        db: Database,
        events: EventStore,
        blobs: BlobStore,
        scheduler: Scheduler,
        options: DispatcherOptions,
        audit: AuditLog,
        run_durations: RunTimes | None = None,
    ) -> None:
        """`run_durations` are measured on this installation; without them deadlines are not forecast."""
        self._db = db
        self._scheduler = scheduler
        self._options = options
        self._journal = RenderJournal(db, events, audit)
        pool = SegmentPool(db, blobs, scheduler)
        self._maker = RenderMaker(self._journal, blobs, scheduler, pool, options.making)
        version = options.making.worker_version
        self._forecasts: Worker | None = None
        if run_durations is not None:
            forecaster = Forecaster(self._journal, scheduler, run_durations, version)
            self._forecasts = Worker("forecasts", forecaster.poll, poll_s=FORECAST_POLL_S)
        self._active: dict[str, _ActiveRender] = {}
        self._orphans_recovered = False
        self._worker = ItemWorker(
            "dispatcher",
            self._poll,
            self._run_render,
            max_active=options.max_active,
            poll_s=options.poll_s,
            lock=db.leader_lock("dispatcher", options.state_dir),
            context=tenant_bypass_context,
        )

    @property
    def is_leader(self) -> bool:
        """True while this process holds the lock."""
        return self._worker.holds_lock

    async def has_leader(self) -> bool:
        """Returns whether any process is the leader."""
        return await self._worker.is_locked()

    def wake(self) -> None:
        """Makes the next poll come now; without it, it comes within `poll_s`."""
        self._worker.wake()

    async def start(self) -> None:
        await self._worker.start()

    async def close(self) -> None:
        """Stops workers that cannot outlive this process, and queues their renders again for the next
        leader.
        """
        self._scheduler.detach()
        if self._forecasts is not None:
            await self._forecasts.close()
        await self._worker.close(self._requeue_active)
        self._orphans_recovered = False

    async def __aenter__(self) -> Dispatcher:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _requeue_active(self) -> None:
        for active in self._active.values():
            active.requeue = True
            active.stop.set()

    async def _recover_orphans(self) -> None:
        """Queues renders of a killed process again; their finished segments are found by key. Checkpoints of
        cancelled renders are discarded.
        """
        await self._scheduler.start()
        cancelled: list[str] = []
        async with self._db.transaction() as session:
            for render in await Renders(session).active():
                if render.cancel_requested:
                    cancelled.append(render.id)
                else:
                    await self._journal.move(
                        session, render, RenderState.QUEUED, why="the server was restarted"
                    )
        for render_id in cancelled:
            # Discarded before the state is written: after a crash in between, the next process repeats it.
            async with self._db.session() as session:
                unfinished = await Segments(session).find_unfinished(render_id)
            await self._scheduler.discard_unfinished(unfinished)
            async with self._db.transaction() as session:
                row = await Renders(session).find(render_id)
                if row is not None:
                    await self._journal.move(session, row, RenderState.CANCELLED, error=CANCELLED)

    async def _poll(self, in_flight: Collection[str], limit: int) -> Sequence[str]:
        """Stops active renders that users have cancelled, and moves those with another priority; returns the
        queued renders to run next.
        """
        if not self._orphans_recovered:
            await self._recover_orphans()
            self._orphans_recovered = True
            if self._forecasts is not None:
                await self._forecasts.start()
        async with self._db.session() as session:
            renders = Renders(session)
            queued = await renders.next_queued(in_flight, limit) if limit else ()
            self._apply_cancellations(await renders.to_cancel())
            priorities = await renders.active_priorities()
        for render_id, priority in priorities:
            await self._maker.set_priority(render_id, priority)
        # Registered here, not in `_run_render`: the server may be stopped before that begins.
        self._active.update({render_id: _ActiveRender() for render_id in queued})
        return queued

    def _apply_cancellations(self, cancelled: Collection[str]) -> None:
        for render_id in cancelled:
            if (active := self._active.get(render_id)) is not None:
                active.stop.set()

    async def _run_render(self, render_id: str) -> None:
        active = self._active[render_id]
        try:
            with patience(PATIENCE_S):
                if not await self._mark_dispatched(render_id):
                    return
                ended = await self._make(render_id, active)
                if ended is not None:
                    await self._record_outcome(render_id, active, ended)
        except Exception:
            log.exception("dispatcher.render_fault", render=render_id)
        finally:
            del self._active[render_id]

    async def _mark_dispatched(self, render_id: str) -> bool:
        return await self._journal.move_if(render_id, frozenset({RenderState.QUEUED}), RenderState.DISPATCHED)

    async def _make(self, render_id: str, active: _ActiveRender) -> TaskFailed | None:
        """Returns None when the render is done, otherwise the failure."""
        async with self._db.session() as session:
            row = await Renders(session).find(render_id)
        if row is None:
            return TaskFailed(RENDER_DELETED)
        # Every query below runs in the tenant's scope, so files and segments belong to that tenant.
        with trace(row.trace_id, parent=row.parent_span_id), tenant_scope(row.tenant):
            work = asyncio.create_task(self._maker.make(render_id, active.ending))
        stopping = asyncio.create_task(active.stop.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                active.ending.for_good = await self._is_cancelled(render_id)
        finally:
            await cancel_all([work, stopping])
        if work.cancelled():
            return TaskFailed(CANCELLED)
        error = work.exception()
        if error is None:
            return None
        if isinstance(error, TaskFailed):
            return error
        log.error("dispatcher.render_fault", render=render_id, exc_info=error)
        return TaskFailed(INTERNAL)

    async def _is_cancelled(self, render_id: str) -> bool:
        """Returns whether a user cancelled it. False when the database cannot be read: checkpoints are then
        kept.
        """
        try:
            async with self._db.session() as session:
                row = await Renders(session).find(render_id)
                return row is not None and row.cancel_requested
        except (OSError, SoundstageError) as error:
            log.error("dispatcher.reason_unknown", render=render_id, error=str(error))
            return False

    async def _record_outcome(self, render_id: str, active: _ActiveRender, ended: TaskFailed) -> None:
        """Records the outcome, with retries: the disk may be full at the moment."""
        for _ in range(RECORD_ATTEMPTS):
            try:
                await self._write_outcome(render_id, active, ended)
                return
            except (OSError, SoundstageError) as error:
                log.error("dispatcher.settle_failed", render=render_id, error=str(error))
                await asyncio.sleep(RECORD_RETRY_S)

    async def _write_outcome(self, render_id: str, active: _ActiveRender, ended: TaskFailed) -> None:
        async with self._db.transaction() as session:
            row = await Renders(session).find(render_id)
            if row is None or row.state not in ACTIVE:
                return
            row.worker_log = mask_text(ended.log[-LOG_CHARS:])
            # Names recorded by a delivery that was interrupted; see RenderMaker.
            await asyncio.to_thread(delete_delivered_files, row.out_files, self._options.making.out_dir)
            row.out_files = []
            cancelled = ended.failure.code == CANCELLED.code
            if ended.failure.code in OUTAGES and not row.cancel_requested:
                await self._journal.move(session, row, RenderState.QUEUED, why="the database was away")
            elif cancelled and active.requeue and not row.cancel_requested:
                await self._journal.move(session, row, RenderState.QUEUED, why="the server was stopped")
            else:
                state = RenderState.CANCELLED if cancelled else RenderState.FAILED
                await self._journal.move(session, row, state, error=ended.failure)
