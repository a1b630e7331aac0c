"""Drives queued renders in the one process that holds the lock; started by `soundstage up` and by commands
that wait.
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
from soundstage.database import Database
from soundstage.database.tenants import tenant_bypass_context, tenant_scope
from soundstage.errors import SoundstageError
from soundstage.events import EventStore
from soundstage.telemetry import get_logger, mask_text, trace
from studio.renders.delivery import withdraw
from studio.renders.forecasting import LOOK_S, Forecaster
from studio.renders.journal import RenderJournal
from studio.renders.making import GONE, MakingOptions, RenderMaker
from studio.renders.repository import Renders, Segments
from studio.renders.running import Ending
from studio.renders.segments import SegmentPool
from studio.renders.states import ACTIVE, RenderState

LOCK_FILE = "dispatcher.lock"
SETTLE_TRIES = 20
SETTLE_WAIT_S = 1.0
LOG_CHARS = 16_000

INTERNAL = Failed(
    code="render.internal",
    message="The render ran into a fault of our own.",
    hint="See the log of the server under the render's trace id, then retry.",
)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DispatcherOptions:
    """`max_active` bounds how many renders are in hand at once; their segments queue by priority in the
    scheduler.
    """

    state_dir: Path
    making: MakingOptions
    poll_s: float = 0.25
    max_active: int = 32


@dataclass(slots=True)
class _Drive:
    """A render in hand. `stop` ends its work; `leave` then puts it back into the queue instead of cancelling
    it; `ending` says whether a person wanted that.
    """

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    leave: bool = False
    ending: Ending = field(default_factory=Ending)


class Dispatcher:
    """`start` and `close`, or `async with`. Any number of processes may have one; one of them drives."""

    def __init__(
        self,
        db: Database,
        events: EventStore,
        blobs: BlobStore,
        scheduler: Scheduler,
        options: DispatcherOptions,
        times: RunTimes | None = None,
        audit: AuditLog | None = None,
    ) -> None:
        """`times` tells how long work took here; without it nothing is said about deadlines."""
        self._db = db
        self._scheduler = scheduler
        self._options = options
        self._journal = RenderJournal(db, events, audit)
        pool = SegmentPool(db, blobs, scheduler)
        self._maker = RenderMaker(self._journal, blobs, scheduler, pool, options.making)
        version = options.making.worker_version
        self._forecasts: Worker | None = None
        if times is not None:
            forecaster = Forecaster(self._journal, scheduler, times, version)
            self._forecasts = Worker("forecasts", forecaster.look, poll_s=LOOK_S)
        self._drives: dict[str, _Drive] = {}
        self._taken_over = False
        self._worker = ItemWorker(
            "dispatcher",
            self._due,
            self._drive,
            max_active=options.max_active,
            poll_s=options.poll_s,
            lock=options.state_dir / LOCK_FILE,
            context=tenant_bypass_context,
        )

    @property
    def driving(self) -> bool:
        """True while this process holds the lock."""
        return self._worker.holds_lock

    def is_driven(self) -> bool:
        """True while any process drives."""
        return self._worker.is_locked()

    def wake(self) -> None:
        """There is something new; without it the next look comes within `poll_s`."""
        self._worker.wake()

    async def start(self) -> None:
        await self._worker.start()

    async def close(self) -> None:
        """Stops workers that cannot go on without us, and puts their renders back into the queue, for the
        next process that drives.
        """
        self._scheduler.leave()
        if self._forecasts is not None:
            await self._forecasts.close()
        await self._worker.close(self._leave)
        self._taken_over = False

    async def __aenter__(self) -> Dispatcher:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _leave(self) -> None:
        for drive in self._drives.values():
            drive.leave = True
            drive.stop.set()

    async def _take_over(self) -> None:
        """Puts renders of a killed process back into the queue; their finished segments are found by key.
        Cached parts of cancelled renders are dropped.
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
            # First, and written down afterwards: if we are killed in between, the next one does it.
            async with self._db.session() as session:
                unfinished = await Segments(session).find_unfinished(render_id)
            await self._scheduler.forget(unfinished)
            async with self._db.transaction() as session:
                row = await Renders(session).find(render_id)
                if row is not None:
                    await self._journal.move(session, row, RenderState.CANCELLED, error=CANCELLED)

    async def _due(self, in_hand: Collection[str], limit: int) -> Sequence[str]:
        """Returns queued renders, and stops those in hand that people have cancelled."""
        if not self._taken_over:
            await self._take_over()
            self._taken_over = True
            if self._forecasts is not None:
                await self._forecasts.start()
        async with self._db.session() as session:
            renders = Renders(session)
            queued = await renders.next_queued(in_hand, limit) if limit else ()
            to_cancel = await renders.to_cancel()
        for render_id in to_cancel:
            if (drive := self._drives.get(render_id)) is not None:
                drive.stop.set()
        # Here, not when their steps begin: the server may be stopped before that.
        self._drives.update({render_id: _Drive() for render_id in queued})
        return queued

    async def _drive(self, render_id: str) -> None:
        drive = self._drives[render_id]
        try:
            if not await self._placed(render_id):
                return
            ended = await self._make(render_id, drive)
            if ended is not None:
                await self._settle(render_id, drive, ended)
        except Exception:
            log.exception("dispatcher.render_fault", render=render_id)
        finally:
            del self._drives[render_id]

    async def _placed(self, render_id: str) -> bool:
        return await self._journal.move_if(render_id, frozenset({RenderState.QUEUED}), RenderState.PLACED)

    async def _make(self, render_id: str, drive: _Drive) -> TaskFailed | None:
        """None when it is done; otherwise why it is not."""
        async with self._db.session() as session:
            row = await Renders(session).find(render_id)
        if row is None:
            return TaskFailed(GONE)
        # What is made for a tenant is theirs: its files, its segments, and all that is asked on the way.
        with trace(row.trace_id), tenant_scope(row.tenant):
            work = asyncio.create_task(self._maker.make(render_id, drive.ending))
        stopping = asyncio.create_task(drive.stop.wait())
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not work.done():
            drive.ending.for_good = await self._is_cancelled(render_id)
            work.cancel()
            await asyncio.wait({work})
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
        """By a person; it is stopped in any case, and what its workers keep is not lost by a doubt."""
        try:
            async with self._db.session() as session:
                row = await Renders(session).find(render_id)
                return row is not None and row.cancel_requested
        except (OSError, SoundstageError) as error:
            log.error("dispatcher.reason_unknown", render=render_id, error=str(error))
            return False

    async def _settle(self, render_id: str, drive: _Drive, ended: TaskFailed) -> None:
        """Writes the end down, however often that takes: the disk may be full at this very moment."""
        for _ in range(SETTLE_TRIES):
            try:
                await self._write_end(render_id, drive, ended)
                return
            except (OSError, SoundstageError) as error:
                log.error("dispatcher.settle_failed", render=render_id, error=str(error))
                await asyncio.sleep(SETTLE_WAIT_S)

    async def _write_end(self, render_id: str, drive: _Drive, ended: TaskFailed) -> None:
        async with self._db.transaction() as session:
            row = await Renders(session).find(render_id)
            if row is None or row.state not in ACTIVE:
                return
            row.worker_log = mask_text(ended.log[-LOG_CHARS:])
            # Names noted by a delivery that did not come to its end; see RenderMaker.
            await asyncio.to_thread(withdraw, row.out_files, self._options.making.out_dir)
            row.out_files = []
            cancelled = ended.failure.code == CANCELLED.code
            if cancelled and drive.leave and not row.cancel_requested:
                await self._journal.move(session, row, RenderState.QUEUED, why="the server was stopped")
            else:
                state = RenderState.CANCELLED if cancelled else RenderState.FAILED
                await self._journal.move(session, row, state, error=ended.failure)
