"""Runs one task on a scheduler to its end; used for segments, assembly, previews and portraits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

from avatar.spec import Finished

from farm.failures import CANCELLED, RETRYABLE, TaskFailed
from farm.scheduler import Scheduler
from farm.states import TaskState
from farm.tasks import SegmentTask, TaskEvent

OnEvent = Callable[[TaskEvent], None]

TRIES = 2
BACK_OFF_S = 1.0


async def run_task(scheduler: Scheduler, task: SegmentTask, on_event: OnEvent) -> Finished:
    """The result; raises TaskFailed. When the caller is cancelled, the worker is stopped before that
    goes on.
    """
    await scheduler.submit(task)
    try:
        return await _to_end(scheduler, task.id, on_event)
    except asyncio.CancelledError:
        await asyncio.shield(_stop(scheduler, task.id))
        raise


async def run_task_again(scheduler: Scheduler, task: SegmentTask, on_event: OnEvent) -> Finished:
    """Like `run_task`, with one more try when the worker crashed or was killed."""
    for number in range(1, TRIES + 1):
        name = _try_name(task.id, number)
        if number < TRIES and scheduler.left_over(_try_name(task.id, number + 1)):
            continue
        try:
            return await run_task(scheduler, replace(task, id=name), on_event)
        except TaskFailed as error:
            if number == TRIES or error.failure.code not in RETRYABLE:
                raise
        # Jitter: segments that failed together should not come back together.
        await asyncio.sleep(BACK_OFF_S * number * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
    raise TaskFailed(CANCELLED)


def is_left_over(scheduler: Scheduler, task_id: str) -> bool:
    """Whether a try of this task goes on since before we were started."""
    return any(scheduler.left_over(_try_name(task_id, number)) for number in range(1, TRIES + 1))


def _try_name(task_id: str, number: int) -> str:
    return f"{task_id}.{number}"


async def _to_end(scheduler: Scheduler, task_id: str, on_event: OnEvent) -> Finished:
    async for event in scheduler.watch(task_id):
        on_event(event)
        if event.state is TaskState.DONE and event.result is not None:
            return event.result
        if event.last:
            raise TaskFailed(event.failure or CANCELLED, await scheduler.logs(task_id))
    raise TaskFailed(CANCELLED)


async def _stop(scheduler: Scheduler, task_id: str) -> None:
    await scheduler.cancel(task_id)
    async for event in scheduler.watch(task_id):
        if event.last:
            return
