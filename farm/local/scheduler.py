"""The embedded scheduler: at most N worker processes at a time, the rest in a queue by priority. One more
runs where a person waits for it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import os
import platform
import shutil
import time
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from avatar.spec import Failed, Finished
from avatar.spec.unfinished import forget_work

from farm.failures import CANCELLED, TaskFailed, failure_from_error
from farm.local import orphans
from farm.local.commands import worker_arguments, worker_environment
from farm.local.process import ProcessLimits, run_process
from farm.local.standby import Standby
from farm.local.verdict import Reading, failure_of
from farm.local.workspace import Workspace, sweep
from farm.needs import Needs
from farm.scheduler import FarmAvailability
from farm.states import TaskState
from farm.task_registry import TaskRecord, TaskRegistry
from farm.tasks import SegmentTask, TaskEvent
from soundstage.blobs import BlobStore
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

INTERNAL = Failed(
    code="worker.internal",
    message="The scheduler ran into a fault of its own.",
    hint="See the log of the control process under the same trace id.",
)

log = get_logger(__name__)


_Rank = tuple[int, bool, int]
"""Priority, negative; whether it completes no video; its number."""


class TaskQueue:
    """Ids in the order in which they will start."""

    def __init__(self) -> None:
        self._heap: list[tuple[_Rank, str]] = []
        self._waiting: dict[str, _Rank] = {}
        self._counter = itertools.count()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._waiting

    def push(self, task_id: str, priority: int, *, completes: bool = False) -> None:
        """Queues a task behind those of its priority; one that completes a video before what only begins."""
        rank = (-priority, not completes, next(self._counter))
        self._waiting[task_id] = rank
        heapq.heappush(self._heap, (rank, task_id))

    def first(self) -> str | None:
        """Returns the next id, which stays; None when the queue is empty."""
        while self._heap:
            rank, task_id = self._heap[0]
            if self._waiting.get(task_id) == rank:
                return task_id
            heapq.heappop(self._heap)
        return None

    def pop(self) -> str | None:
        """Returns the next id, or None when the queue is empty."""
        task_id = self.first()
        if task_id is not None:
            heapq.heappop(self._heap)
            del self._waiting[task_id]
        return task_id

    def remove(self, task_id: str) -> bool:
        """True when it was waiting. Its heap entry is skipped later: removal stays cheap."""
        return self._waiting.pop(task_id, None) is not None

    def set_priority(self, task_id: str, priority: int) -> None:
        """Moves a waiting task; among those of its new priority it stands where it came."""
        if task_id in self._waiting:
            _, begins, number = self._waiting[task_id]
            rank = self._waiting[task_id] = (-priority, begins, number)
            heapq.heappush(self._heap, (rank, task_id))

    def ahead_of(self, task_id: str) -> int:
        """Returns how many start before it."""
        mine = self._waiting[task_id]
        return sum(1 for rank in self._waiting.values() if rank < mine)


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """`command` starts the worker (`("avatar",)`); `passed_variables` are names its environment may also
    hold.
    """

    command: tuple[str, ...]
    work_dir: Path
    cache_dir: Path
    concurrency: int = 2
    niceness: int = 5
    grace_s: float = 5.0
    passed_variables: tuple[str, ...] = ()
    models_folder: Path | None = None


AWAITED = frozenset({"speak", "still", "preview"})
"""Kinds of tasks that a person waits for."""


class LocalScheduler:
    """See `farm.scheduler.Scheduler`."""

    name = "local"

    def __init__(self, blobs: BlobStore, options: LocalOptions) -> None:
        self._blobs = blobs
        self._options = options
        self._queue = TaskQueue()
        self._registry = TaskRegistry()
        self._stops: dict[str, asyncio.Event] = {}
        """Rings when a task shall end; kept as long as the task is queued or runs."""
        self._ended_for_good: set[str] = set()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._standbys = {
            "speak": Standby(options.command, options.niceness),
            "still": Standby(options.command, options.niceness, "still"),
        }
        """By kind of task: most of a short one is the start of its process."""
        self._folder_count = 0
        self._own_folder = options.work_dir / orphans.owner_name(os.getpid())

    async def start(self) -> None:
        self._options.work_dir.mkdir(parents=True, exist_ok=True)
        self._options.cache_dir.mkdir(parents=True, exist_ok=True)
        swept: Sequence[str] = await asyncio.to_thread(sweep, self._options.work_dir)
        if swept:
            log.warning("farm.local.swept", control_processes=list(swept))

    async def submit(self, task: SegmentTask) -> None:
        if self._registry.find(task.id) is None:
            self._registry.add(task)
            self._stops[task.id] = asyncio.Event()
            self._queue.push(task.id, task.priority, completes=task.kind == "assemble")
            self._start_next()

    def watch(self, task_id: str) -> AsyncIterator[TaskEvent]:
        return self._registry.watch(task_id)

    async def cancel(self, task_id: str, *, for_good: bool = False) -> None:
        record = self._registry.get(task_id)
        if record.ended:
            return
        if for_good:
            self._ended_for_good.add(task_id)
        self._stops[task_id].set()
        if self._queue.remove(task_id):
            self._end(record, TaskState.CANCELLED, failure=CANCELLED)
            if for_good:
                # By an earlier try, or by a process before us.
                await self.discard_unfinished({record.task.unfinished})

    async def set_priority(self, task_ids: Collection[str], priority: int) -> None:
        for task_id in task_ids:
            self._queue.set_priority(task_id, priority)

    async def discard_unfinished(self, names: Collection[str]) -> None:
        for name in names:
            try:
                await asyncio.to_thread(forget_work, self._options.cache_dir, name)
            except OSError as error:
                # It goes by its age.
                log.warning("farm.local.not_forgotten", error=str(error))

    async def logs(self, task_id: str) -> str:
        return self._registry.get(task_id).tail.text()

    async def explain(self, task_id: str) -> str:
        record = self._registry.get(task_id)
        if task_id in self._queue:
            busy, ahead = len(self._running), self._queue.ahead_of(task_id)
            return f"waits: {busy} of {self._options.concurrency} workers busy, {ahead} ahead of it"
        if record.ended:
            failure = record.events[-1].failure
            return f"ended: {record.state}" + (f", {failure.message}" if failure else "")
        return record.running_sentence

    def node_of(self, task_id: str) -> str:
        """Returns the name of this machine for a task that runs: there is no other one."""
        return platform.node() if task_id in self._running else ""

    async def availability(self, needs: Needs, owner: str) -> FarmAvailability:
        """Places are processes, whatever a task needs: this machine is all there is."""
        now_s, others = time.time(), [self._registry.get(task_id) for task_id in self._running]
        others = [record for record in others if record.task.trace_id != owner]
        known = [now_s + record.frames.eta_s for record in others if record.frames is not None]
        free = [now_s] * (self._options.concurrency - len(others))
        waiting = [record.task for record in self._registry if record.task.id in self._queue]
        ahead = tuple(task for task in waiting if task.trace_id != owner)
        return FarmAvailability((*free, *sorted(known)), ahead)

    def is_unclaimed(self, task_id: str) -> bool:
        """Returns False: workers end with the process that started them."""
        return False

    def detach(self) -> None:
        """Does nothing: no worker outlives this process."""

    async def close(self) -> None:
        for record in self._registry:
            await self.cancel(record.task.id)
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        for standby in self._standbys.values():
            await standby.close()
        await asyncio.to_thread(shutil.rmtree, self._own_folder, ignore_errors=True)

    def _start_next(self) -> None:
        while self._has_place() and (task_id := self._queue.pop()) is not None:
            record = self._registry.get(task_id)
            # In the context of its own submission: this may be called at the end of another's task.
            self._running[task_id] = asyncio.create_task(
                self._run(record), name=f"worker {task_id}", context=record.context
            )

    def _has_place(self) -> bool:
        """Returns whether the next task may start: one that a person waits for does not wait for a film."""
        places = self._options.concurrency
        first = self._queue.first()
        if first is not None and self._registry.get(first).task.kind in AWAITED:
            places += 1
        return len(self._running) < places

    async def _run(self, record: TaskRecord) -> None:
        try:
            await self._run_to_verdict(record)
        except asyncio.CancelledError:
            self._end(record, TaskState.CANCELLED, failure=CANCELLED)
            raise
        except Exception:
            # An internal error must still end the task, or its watchers wait for ever.
            log.exception("farm.local.fault", task=record.task.id)
            self._end(record, TaskState.FAILED, failure=INTERNAL)
        finally:
            del self._running[record.task.id]
            self._start_next()

    async def _run_to_verdict(self, record: TaskRecord) -> None:
        self._folder_count += 1
        workspace = Workspace(self._own_folder / f"{self._folder_count:06d}", self._blobs)
        self._registry.move(record, TaskState.PLACED)
        try:
            await workspace.prepare(record.task)
            outcome = await self._work(record, workspace)
        except (OSError, SoundstageError) as error:
            outcome = failure_from_error(error)
        except TaskFailed as error:
            outcome = error.failure
        finally:
            await workspace.remove()
        if isinstance(outcome, Finished):
            self._end(record, TaskState.DONE, result=outcome)
        else:
            cancelled = self._stops[record.task.id].is_set() and outcome is CANCELLED
            if record.task.id in self._ended_for_good:
                await self.discard_unfinished({record.task.unfinished})
            self._end(record, TaskState.CANCELLED if cancelled else TaskState.FAILED, failure=outcome)

    async def _work(self, record: TaskRecord, workspace: Workspace) -> Finished | Failed:
        if self._stops[record.task.id].is_set():
            return CANCELLED
        reading = Reading()

        def on_line(line: bytes) -> None:
            garbage = reading.garbage
            parsed = reading.read(line)
            if parsed is not None:
                self._registry.add_progress(record, parsed)
            elif reading.garbage > garbage:
                record.tail.add(b"unreadable line on standard output: " + line[:200] + b"\n")

        command = [
            *self._options.command,
            *worker_arguments(record.task, blobs=self._blobs_dir(), cache=self._options.cache_dir.resolve()),
        ]
        self._registry.move(record, TaskState.RUNNING)
        standby = self._standbys.get(record.task.kind)
        waiting = None if standby is None else standby.take()
        end = await run_process(
            command,
            folder=workspace.folder,
            record=workspace.record,
            environment=worker_environment(
                workspace.folder,
                (*self._options.passed_variables, *record.task.variables),
                models=self._options.models_folder,
                unfinished=record.task.unfinished,
                traceparent=record.task.traceparent,
            ),
            limits=ProcessLimits(record.task.time_limit_s, self._options.grace_s, self._options.niceness),
            stop=self._stops[record.task.id],
            on_line=on_line,
            log=record.tail,
            waiting=waiting,
        )
        failure = failure_of(
            end, reading, program=self._options.command[0], time_limit_s=record.task.time_limit_s
        )
        try:
            if failure is not None or reading.result is None:
                return failure or CANCELLED
            return await workspace.collect(reading.result)
        finally:
            # Not before: to start the next one takes the processor from what somebody waits for.
            if standby is not None:
                standby.prepare()

    def _blobs_dir(self) -> Path:
        return self._blobs.root.resolve()

    def _end(
        self,
        record: TaskRecord,
        state: TaskState,
        *,
        result: Finished | None = None,
        failure: Failed | None = None,
    ) -> None:
        self._registry.end(record, state, result=result, failure=failure)
        del self._stops[record.task.id]
        self._ended_for_good.discard(record.task.id)
