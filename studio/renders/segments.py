"""Makes each segment once: from the cache when it is there, and one time only when several renders want it at
once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from avatar.spec import Failed, Finished

from farm.failures import CANCELLED, TaskFailed
from farm.needs import Needs
from farm.scheduler import Scheduler
from farm.states import TaskState
from farm.tasks import SegmentTask, TaskEvent
from soundstage.blobs import BlobStore
from soundstage.database import Database, utcnow
from soundstage.database.tenants import DEFAULT_TENANT
from soundstage.errors import Unavailable
from soundstage.tasks import cancel_all, finish, wait_all
from soundstage.telemetry import get_logger, metrics
from studio.references.repository import References
from studio.renders.lost_files import LostFiles
from studio.renders.models import Segment
from studio.renders.repository import Segments
from studio.renders.running import Ending, is_try_unclaimed, run_task_again
from studio.renders.states import SEGMENT_TRANSITIONS, RenderState

Listener = Callable[[TaskEvent], None]

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SegmentOrder:
    """One scene of one spec. `sources` are hashes and consents it is made from."""

    key: str
    spec_sha256: str
    scene_id: str
    sources: frozenset[str]
    priority: int
    time_limit_s: float
    variables: tuple[str, ...]
    trace_id: str | None
    needs: Needs


@dataclass(frozen=True, slots=True)
class SegmentDone:
    result: Finished
    reused: bool


@dataclass(slots=True)
class _Job:
    """A segment being made, and the renders that wait for it."""

    work: asyncio.Task[SegmentDone]
    priority: int
    listeners: list[Listener] = field(default_factory=list)
    users: int = 0
    ending: bool = False
    end: Ending = field(default_factory=Ending)
    task_id: str | None = None


class SegmentPool:
    """One per dispatcher. Segments of a pool of another process cannot run: the dispatcher holds the lock."""

    def __init__(self, db: Database, blobs: BlobStore, scheduler: Scheduler) -> None:
        self._db = db
        self._lost_files = LostFiles(blobs)
        self._scheduler = scheduler
        self._jobs: dict[str, _Job] = {}

    async def obtain(self, order: SegmentOrder, listener: Listener, ending: Ending) -> SegmentDone:
        """The segment's files, in the blob store; raises TaskFailed. The work ends with the last
        render that waits for it, and for good if that one says so in `ending`.
        """
        while (job := self._jobs.get(order.key)) is not None and job.ending:
            await asyncio.wait({job.work})
        shared = job is not None
        if job is None:
            job = self._start(order)
        job.users += 1
        job.listeners.append(listener)
        try:
            done = await asyncio.shield(job.work)
            return SegmentDone(done.result, reused=done.reused or shared)
        except asyncio.CancelledError:
            if job.work.cancelled():
                raise TaskFailed(CANCELLED) from None
            raise
        finally:
            job.users -= 1
            job.listeners.remove(listener)
            if job.users == 0 and not job.work.done():
                job.ending = True
                job.end.for_good = ending.for_good
                await cancel_all([job.work])

    async def explain(self, key: str) -> str:
        """The scheduler's sentence on the task that makes this segment; "" when there is none."""
        job = self._jobs.get(key)
        return await self._scheduler.explain(job.task_id) if job is not None and job.task_id else ""

    async def set_priority(self, key: str, priority: int) -> None:
        """Moves the task that makes this segment in the queue of the scheduler. One that several renders wait
        for is only raised: it is as urgent as the most urgent of them.
        """
        job = self._jobs.get(key)
        if job is None or (job.users > 1 and priority < job.priority):
            return
        job.priority = priority
        if job.task_id is not None:
            await self._scheduler.set_priority((job.task_id,), priority)

    def _start(self, order: SegmentOrder) -> _Job:
        end = Ending()
        work = asyncio.create_task(self._make(order, end), name=f"segment {order.key}")
        job = self._jobs[order.key] = _Job(work, order.priority, end=end)
        work.add_done_callback(lambda _: self._jobs.pop(order.key, None))
        return job

    async def _make(self, order: SegmentOrder, end: Ending) -> SegmentDone:
        cached = await self._cached(order.key)
        if cached is not None:
            metrics.SEGMENTS.inc("reused")
            return SegmentDone(cached, reused=True)
        task = SegmentTask(
            id=await self._begin(order.key),
            kind="segment",
            spec_sha256=order.spec_sha256,
            scene_id=order.scene_id,
            # It may have been raised since the work began.
            priority=self._jobs[order.key].priority,
            time_limit_s=order.time_limit_s,
            variables=order.variables,
            trace_id=order.trace_id,
            needs=order.needs,
            unfinished=order.key,
        )
        marks: list[asyncio.Task[None]] = []

        def on_event(event: TaskEvent) -> None:
            if event.state is TaskState.RUNNING and not marks:
                marks.append(asyncio.create_task(self._mark_running(order.key)))
            self._hear(order.key, event)

        try:
            try:
                result = await run_task_again(self._scheduler, task, on_event, end)
            finally:
                # Whatever comes next is written after it.
                await wait_all(marks)
        except TaskFailed as error:
            cancelled = error.failure.code == CANCELLED.code
            await self._end(
                order.key, RenderState.CANCELLED if cancelled else RenderState.FAILED, error.failure
            )
            raise
        except asyncio.CancelledError:
            await finish(self._end(order.key, RenderState.CANCELLED, CANCELLED))
            raise
        await self._keep(order, result)
        metrics.SEGMENTS.inc("done")
        return SegmentDone(result, reused=False)

    def _hear(self, key: str, event: TaskEvent) -> None:
        job = self._jobs.get(key)
        if job is not None:
            job.task_id = event.task_id
            for listener in tuple(job.listeners):
                listener(event)

    async def _cached(self, key: str) -> Finished | None:
        """The result of an earlier making, when all of its files are still there, whole."""
        async with self._db.transaction() as session:
            segment = await Segments(session).find(key)
            if segment is None or segment.state != RenderState.DONE or segment.result is None:
                return None
            result = Finished.model_validate(segment.result)
            # Touched first, so that a collection that starts now sees it in use.
            segment.used_at = utcnow()
        # Read through: a file that was damaged since must not get into a video.
        return None if await self._lost_files.find_lost({file.sha256 for file in result.files}) else result

    async def _begin(self, key: str) -> str:
        """A new task id for each making, also when the row was collected meanwhile: schedulers take the same
        id for the same work. Only what goes on since before a restart keeps its id.
        """
        async with self._db.transaction() as session:
            segments = Segments(session)
            segment = await segments.find(key)
            if segment is None:
                segment = await segments.add(Segment(key=key, state=RenderState.QUEUED))
            else:
                segment.state = SEGMENT_TRANSITIONS.move(RenderState(segment.state), RenderState.QUEUED)
            segment.state = SEGMENT_TRANSITIONS.move(RenderState.QUEUED, RenderState.DISPATCHED)
            segment.error = None
            name = f"{key}.{int(segment.created_at.timestamp() * 1000)}"
            if not is_try_unclaimed(self._scheduler, f"{name}.{segment.attempts}"):
                segment.attempts = (segment.attempts or 0) + 1
            return f"{name}.{segment.attempts}"

    async def _mark_running(self, key: str) -> None:
        """Does without it where the database is away: the work itself goes on."""
        try:
            async with self._db.transaction() as session:
                segment = await Segments(session).find(key)
                if segment is not None and segment.state == RenderState.DISPATCHED:
                    segment.state = SEGMENT_TRANSITIONS.move(RenderState.DISPATCHED, RenderState.RUNNING)
        except Unavailable as error:
            log.warning("segment.not_marked", segment=key, error=str(error))

    async def _end(self, key: str, state: RenderState, failure: Failed) -> None:
        metrics.SEGMENTS.inc(state)
        async with self._db.transaction() as session:
            segment = await Segments(session).find(key)
            if segment is not None:
                segment.state = SEGMENT_TRANSITIONS.move(RenderState(segment.state), state)
                segment.error = failure.model_dump(mode="json")
                segment.finished_at = utcnow()

    async def _keep(self, order: SegmentOrder, result: Finished) -> None:
        async with self._db.transaction() as session:
            segment = await Segments(session).find(order.key)
            if segment is None:
                raise TaskFailed(CANCELLED)
            if segment.state == RenderState.DISPATCHED:
                # The database was away when it began.
                segment.state = SEGMENT_TRANSITIONS.move(RenderState.DISPATCHED, RenderState.RUNNING)
            segment.state = SEGMENT_TRANSITIONS.move(RenderState(segment.state), RenderState.DONE)
            segment.result = result.model_dump(mode="json")
            segment.bytes = sum(file.bytes for file in result.files)
            segment.finished_at = segment.used_at = utcnow()
            await hold_segment(References(session), order.key, result, order.sources)


async def hold_segment(references: References, key: str, result: Finished, sources: Collection[str]) -> None:
    for file in result.files:
        await references.hold(f"segment:{key}", file.role, file.sha256, file.bytes)
    await references.derive(f"segment:{key}", sources)


def segment_key(scene_hash: str, worker_version: str, tenant: str) -> str:
    """Another worker draws other frames, so its version belongs to the key.

    So does the tenant: that a scene is there already would tell one what another has made.
    """
    digits = scene_hash.removeprefix("sha256:")
    if tenant != DEFAULT_TENANT:
        digits = hashlib.sha256(f"{tenant}\n{digits}".encode()).hexdigest()
    return f"{digits}-{worker_version}"
