"""Keeps a record of each task of a scheduler and streams its events to watchers; used by all schedulers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime

from avatar.spec import Failed, Finished, FrameProgress, PreviewFrame, ProgressLine, StageStarted
from avatar.spec.progress import index_to_replace

from farm.states import TERMINAL, TaskState, move
from farm.tasks import SegmentTask, TaskEvent
from farm.worker_output import LogTail
from soundstage.errors import NotFound
from soundstage.telemetry import metrics

MAX_ENDED_TASKS = 500
DRAWN = frozenset({"segment", "lipsync"})
"""Kinds of tasks that draw frames of a video."""
_DOING = {
    "prepare": "the worker is getting ready",
    "speech": "the voice is being made",
    "timing": "the mouth is being timed",
    "frames": "the first frame is being drawn",
    "assemble": "the scenes are being joined",
    "captions": "the captions are being written",
    "publish": "the files are being put into place",
}
"""By the worker's stage."""


@dataclass(slots=True)
class TaskRecord:
    """One task with its state and events; a new progress line replaces the one before.

    `changed` is set at the next event, and then replaced. `context` is that of its submission: trace and
    tenant.
    """

    task: SegmentTask
    state: TaskState = TaskState.QUEUED
    events: list[TaskEvent] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    tail: LogTail = field(default_factory=LogTail)
    seq: int = 0
    queued_at: float = field(default_factory=time.monotonic)
    running_at: float | None = None
    """On the monotonic clock."""
    context: Context = field(default_factory=copy_context, repr=False)

    @property
    def ended(self) -> bool:
        return self.state in TERMINAL

    @property
    def frames(self) -> FrameProgress | None:
        """The newest progress line."""
        return next((e.line for e in reversed(self.events) if isinstance(e.line, FrameProgress)), None)

    @property
    def running_sentence(self) -> str:
        """`runs: …` with the frame that its worker is at, or its stage."""
        recent = (e.line for e in reversed(self.events) if isinstance(e.line, FrameProgress | StageStarted))
        line = next(recent, None)
        doing = _DOING.get(line.stage if line is not None else "prepare", "the worker is at it")
        if isinstance(line, FrameProgress):
            doing = f"frame {line.done_frames} of {line.total_frames}" if line.stage == "frames" else doing
            return f"runs: {doing}, about {line.eta_s:.0f} s left"
        return f"runs: {doing}"


class TaskRegistry:
    """Keeps the last `MAX_ENDED_TASKS` ended tasks for late watchers and drops older ones."""

    def __init__(self) -> None:
        self._records: dict[str, TaskRecord] = {}

    def __iter__(self) -> Iterator[TaskRecord]:
        return iter([*self._records.values()])

    def find(self, task_id: str) -> TaskRecord | None:
        return self._records.get(task_id)

    def get(self, task_id: str) -> TaskRecord:
        found = self._records.get(task_id)
        if found is None:
            raise NotFound(
                "task.unknown", f"There is no task {task_id!r} here.", "It may be long ended; ask the render."
            )
        return found

    def add(self, task: SegmentTask) -> TaskRecord:
        record = self._records[task.id] = TaskRecord(task)
        metrics.TASKS.inc(record.state)
        self._append_event(record)
        return record

    def move(self, record: TaskRecord, state: TaskState) -> None:
        self._set_state(record, state)
        self._append_event(record)

    def add_progress(self, record: TaskRecord, line: ProgressLine) -> None:
        self._append_event(record, line=line)

    def end(
        self,
        record: TaskRecord,
        state: TaskState,
        *,
        result: Finished | None = None,
        failure: Failed | None = None,
    ) -> None:
        self._set_state(record, state)
        _measure_end(record, result)
        record.events = [event for event in record.events if not isinstance(event.line, PreviewFrame)]
        self._append_event(record, result=result, failure=failure)
        ended = [task_id for task_id, other in self._records.items() if other.ended]
        for task_id in ended[:-MAX_ENDED_TASKS]:
            del self._records[task_id]

    async def watch(self, task_id: str) -> AsyncIterator[TaskEvent]:
        """Yields all events of a task, from the first to the last."""
        record = self.get(task_id)
        seen = 0
        while True:
            # Take the condition before reading: an event that comes in between sets it, so that none is
            # missed.
            changed = record.changed
            for event in [event for event in record.events if event.seq > seen]:
                seen = event.seq
                yield event
                if event.last:
                    return
            await changed.wait()

    def _set_state(self, record: TaskRecord, state: TaskState) -> None:
        before, record.state = record.state, move(record.state, state)
        metrics.TASKS.dec(before)
        if not record.ended:
            metrics.TASKS.inc(state)
        if state is TaskState.RUNNING:
            record.running_at = time.monotonic()
            metrics.QUEUE_WAIT.observe(record.running_at - record.queued_at, trace=record.task.trace_id)

    def _append_event(
        self,
        record: TaskRecord,
        *,
        line: ProgressLine | None = None,
        result: Finished | None = None,
        failure: Failed | None = None,
    ) -> None:
        record.seq += 1
        event = TaskEvent(record.task.id, record.seq, record.state, datetime.now(UTC), line, result, failure)
        if line is not None:
            outdated = index_to_replace(line, [event.line for event in record.events])
            if outdated is not None:
                del record.events[outdated]
        record.events.append(event)
        record.changed.set()
        record.changed = asyncio.Event()


def _measure_end(record: TaskRecord, result: Finished | None) -> None:
    task = record.task
    metrics.TASKS_FINISHED.inc(task.kind, record.state)
    if record.running_at is None:
        return
    seconds = time.monotonic() - record.running_at
    metrics.TASK_SECONDS.observe(seconds, task.kind, trace=task.trace_id)
    if result is None or task.kind not in DRAWN:
        return
    engine = metrics.engine_of({use.engine for use in result.engines})
    metrics.FRAMES.inc(engine, by=result.frames)
    if seconds > 0:
        metrics.REALTIME_RATIO.observe(result.duration_ms / 1000 / seconds, engine, trace=task.trace_id)
