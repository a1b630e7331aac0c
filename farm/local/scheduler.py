"""The embedded scheduler: at most N worker processes at a time, the rest in a queue by priority. No
cleverness.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from avatar.spec import Failed, Finished, FrameProgress, ProgressLine

from farm.failures import CANCELLED, TaskFailed, failure_from_error
from farm.local import orphans
from farm.local.commands import worker_arguments, worker_environment
from farm.local.lines import LogTail
from farm.local.process import ProcessLimits, run_process
from farm.local.verdict import Reading, failure_of
from farm.local.workspace import Workspace, sweep
from farm.queue import TaskQueue
from farm.states import TERMINAL, TaskState, move
from farm.tasks import Placement, SegmentTask, TaskEvent
from soundstage.blobs import BlobStore
from soundstage.errors import NotFound, SoundstageError
from soundstage.telemetry import get_logger

KEPT_ENDED_TASKS = 500

INTERNAL = Failed(
    code="worker.internal",
    message="The scheduler ran into a fault of its own.",
    hint="See the log of the control process under the same trace id.",
)

log = get_logger(__name__)


@dataclass(slots=True)
class _Entry:
    task: SegmentTask
    state: TaskState = TaskState.QUEUED
    history: list[TaskEvent] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    tail: LogTail = field(default_factory=LogTail)
    seq: int = 0


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


class LocalScheduler:
    """See `farm.scheduler.Scheduler`."""

    name = "local"

    def __init__(self, blobs: BlobStore, options: LocalOptions) -> None:
        self._blobs = blobs
        self._options = options
        self._queue = TaskQueue()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._folder_count = 0
        self._own_folder = options.work_dir / orphans.owner_name(os.getpid())

    async def start(self) -> None:
        self._options.work_dir.mkdir(parents=True, exist_ok=True)
        self._options.cache_dir.mkdir(parents=True, exist_ok=True)
        swept: Sequence[str] = await asyncio.to_thread(sweep, self._options.work_dir)
        if swept:
            log.warning("farm.local.swept", control_processes=list(swept))

    async def submit(self, task: SegmentTask) -> Placement:
        entry = self._entries.get(task.id)
        if entry is None:
            entry = self._entries[task.id] = _Entry(task)
            self._tell(entry)
            self._queue.push(task.id, task.priority)
            self._start_next()
        waiting = self._queue.ahead_of(task.id) if task.id in self._queue else 0
        return Placement(task.id, self.name, entry.state, waiting)

    async def watch(self, task_id: str) -> AsyncIterator[TaskEvent]:
        entry = self._entry(task_id)
        seen = 0
        while True:
            # Take the bell before looking: what is told between the two rings it, so that nothing is missed.
            news = entry.news
            for event in [event for event in entry.history if event.seq > seen]:
                seen = event.seq
                yield event
                if event.last:
                    return
            await news.wait()

    async def cancel(self, task_id: str) -> None:
        entry = self._entry(task_id)
        entry.stop.set()
        if self._queue.remove(task_id):
            self._end(entry, TaskState.CANCELLED, failure=CANCELLED)

    async def logs(self, task_id: str) -> str:
        return self._entry(task_id).tail.text()

    async def explain(self, task_id: str) -> str:
        entry = self._entry(task_id)
        if entry.state is TaskState.QUEUED:
            busy, ahead = len(self._running), self._queue.ahead_of(task_id)
            return f"waits: {busy} of {self._options.concurrency} workers busy, {ahead} ahead of it"
        if entry.state in TERMINAL:
            failure = entry.history[-1].failure
            return f"ended: {entry.state}" + (f", {failure.message}" if failure else "")
        frames = next((e.line for e in reversed(entry.history) if isinstance(e.line, FrameProgress)), None)
        if frames is None:
            return "runs: the worker is getting ready"
        return f"runs: frame {frames.done_frames} of {frames.total_frames}, about {frames.eta_s:.0f} s left"

    def left_over(self, task_id: str) -> bool:
        """Never: workers end with the process that started them."""
        return False

    def leave(self) -> None:
        """Nothing here outlives us."""

    async def close(self) -> None:
        for task_id in [*self._entries]:
            if self._entries[task_id].state not in TERMINAL:
                await self.cancel(task_id)
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await asyncio.to_thread(shutil.rmtree, self._own_folder, ignore_errors=True)

    def _entry(self, task_id: str) -> _Entry:
        entry = self._entries.get(task_id)
        if entry is None:
            raise NotFound(
                "task.unknown", f"There is no task {task_id!r} here.", "It may be long ended; ask the render."
            )
        return entry

    def _start_next(self) -> None:
        while len(self._running) < self._options.concurrency and (task_id := self._queue.pop()) is not None:
            self._running[task_id] = asyncio.create_task(
                self._run(self._entries[task_id]), name=f"worker {task_id}"
            )

    async def _run(self, entry: _Entry) -> None:
        try:
            await self._run_to_verdict(entry)
        except asyncio.CancelledError:
            self._end(entry, TaskState.CANCELLED, failure=CANCELLED)
            raise
        except Exception:
            # A fault of ours must still end the task, or whoever watches it waits for ever.
            log.exception("farm.local.fault", task=entry.task.id)
            self._end(entry, TaskState.FAILED, failure=INTERNAL)
        finally:
            del self._running[entry.task.id]
            self._start_next()

    async def _run_to_verdict(self, entry: _Entry) -> None:
        self._folder_count += 1
        workspace = Workspace(self._own_folder / f"{self._folder_count:06d}", self._blobs)
        self._move(entry, TaskState.PLACED)
        try:
            await workspace.prepare(entry.task)
            outcome = await self._work(entry, workspace)
        except (OSError, SoundstageError) as error:
            outcome = failure_from_error(error)
        except TaskFailed as error:
            outcome = error.failure
        finally:
            await workspace.remove()
        if isinstance(outcome, Finished):
            self._end(entry, TaskState.DONE, result=outcome)
        else:
            cancelled = entry.stop.is_set() and outcome is CANCELLED
            self._end(entry, TaskState.CANCELLED if cancelled else TaskState.FAILED, failure=outcome)

    async def _work(self, entry: _Entry, workspace: Workspace) -> Finished | Failed:
        if entry.stop.is_set():
            return CANCELLED
        reading = Reading()

        def on_line(line: bytes) -> None:
            garbage = reading.garbage
            parsed = reading.read(line)
            if parsed is not None:
                self._tell(entry, line=parsed)
            elif reading.garbage > garbage:
                entry.tail.add(b"unreadable line on standard output: " + line[:200] + b"\n")

        command = [
            *self._options.command,
            *worker_arguments(entry.task, blobs=self._blobs_dir(), cache=self._options.cache_dir.resolve()),
        ]
        self._move(entry, TaskState.RUNNING)
        end = await run_process(
            command,
            folder=workspace.folder,
            record=workspace.record,
            environment=worker_environment(
                workspace.folder, (*self._options.passed_variables, *entry.task.variables)
            ),
            limits=ProcessLimits(entry.task.time_limit_s, self._options.grace_s, self._options.niceness),
            stop=entry.stop,
            on_line=on_line,
            log=entry.tail,
        )
        failure = failure_of(
            end, reading, program=self._options.command[0], time_limit_s=entry.task.time_limit_s
        )
        if failure is not None or reading.result is None:
            return failure or CANCELLED
        return await workspace.collect(reading.result)

    def _blobs_dir(self) -> Path:
        return self._blobs.root.resolve()

    def _move(self, entry: _Entry, state: TaskState) -> None:
        entry.state = move(entry.state, state)
        self._tell(entry)

    def _end(
        self,
        entry: _Entry,
        state: TaskState,
        *,
        result: Finished | None = None,
        failure: Failed | None = None,
    ) -> None:
        entry.state = move(entry.state, state)
        self._tell(entry, result=result, failure=failure)
        ended = [task_id for task_id, other in self._entries.items() if other.state in TERMINAL]
        for task_id in ended[:-KEPT_ENDED_TASKS]:
            del self._entries[task_id]

    def _tell(
        self,
        entry: _Entry,
        *,
        line: ProgressLine | None = None,
        result: Finished | None = None,
        failure: Failed | None = None,
    ) -> None:
        entry.seq += 1
        event = TaskEvent(entry.task.id, entry.seq, entry.state, datetime.now(UTC), line, result, failure)
        stale = (
            entry.history
            and isinstance(line, FrameProgress)
            and isinstance(entry.history[-1].line, FrameProgress)
        )
        if stale:
            entry.history[-1] = event
        else:
            entry.history.append(event)
        entry.news.set()
        entry.news = asyncio.Event()
