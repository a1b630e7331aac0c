"""A scheduler that knows how much work its tasks are and writes down how long they took; wrapped around the
real one by the composition root.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

from farm.history import RunTimes, work_of
from farm.scheduler import Scheduler
from farm.states import TaskState
from farm.tasks import SegmentTask, TaskEvent
from soundstage.blobs import BlobStore
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

log = get_logger(__name__)


class MeasuredScheduler:
    """See `farm.scheduler.Scheduler`. A task is measured when a watcher follows it to its end."""

    def __init__(self, scheduler: Scheduler, blobs: BlobStore, times: RunTimes) -> None:
        self._scheduler = scheduler
        self._blobs = blobs
        self.times = times
        self._tasks: dict[str, SegmentTask] = {}
        self.name, self.logs, self.explain = scheduler.name, scheduler.logs, scheduler.explain
        self.cancel, self.set_priority = scheduler.cancel, scheduler.set_priority
        self.node_of, self.availability = scheduler.node_of, scheduler.availability
        self.is_unclaimed, self.discard_unfinished = scheduler.is_unclaimed, scheduler.discard_unfinished
        self.detach, self.close = scheduler.detach, scheduler.close

    async def start(self) -> None:
        await self.times.load()
        await self._scheduler.start()

    async def submit(self, task: SegmentTask) -> None:
        task = replace(task, work=await self._work(task))
        self._tasks[task.id] = task
        await self._scheduler.submit(task)

    async def watch(self, task_id: str) -> AsyncIterator[TaskEvent]:
        began: datetime | None = None
        async for event in self._scheduler.watch(task_id):
            if event.state is TaskState.RUNNING and began is None:
                began = event.at
            if event.last:
                await self._ended(self._tasks.pop(task_id, None), began, event)
            yield event

    async def _ended(self, task: SegmentTask | None, began: datetime | None, event: TaskEvent) -> None:
        if task is None or began is None or event.state is not TaskState.DONE:
            return
        try:
            await self.times.record_run(task, (event.at - began).total_seconds())
        except SoundstageError as error:
            # The video is done; a run time that is not stored must not fail it.
            log.warning("farm.not_measured", task=task.id, error=str(error))

    async def _work(self, task: SegmentTask) -> float:
        if task.spec_sha256 is None:
            return 1.0
        try:
            spec = json.loads(await self._blobs.read(task.spec_sha256))
        except (OSError, SoundstageError):
            return 0.0  # the scheduler says what is wrong with it
        return work_of(spec, task.scene_id)
