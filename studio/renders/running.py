"""Runs one task on a scheduler to its end; used for segments, assembly, previews and portraits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from avatar.spec import Finished, SpanEnded

from farm.failures import CANCELLED, CRASHED, RETRYABLE, TaskFailed
from farm.placement import Retries
from farm.scheduler import Scheduler
from farm.states import TaskState
from farm.tasks import SegmentTask, TaskEvent
from soundstage.tasks import finish
from soundstage.telemetry import mask_text
from soundstage.telemetry.masking import without_secrets
from soundstage.tracing import (
    TENANT,
    now_ns,
    record_finished,
    record_since,
    span,
    span_id,
    trace_id,
    traceparent,
)
from soundstage.tracing.records import SpanRecord, plain_attributes

OnEvent = Callable[[TaskEvent], None]

CRASHES_ON_INPUT = (
    "It stopped twice in the same way, so its input is to blame: save the photo, video or sound of this"
    " scene in another format, then retry."
)
RETRIES = Retries(base_s=2.0, cap_s=60.0, attempts=3)


@dataclass(slots=True)
class Ending:
    """The way cancelled work ends. for_good: it was cancelled by a person, and what is finished of it is of
    no more use.
    """

    for_good: bool = False


async def run_task(
    scheduler: Scheduler,
    task: SegmentTask,
    on_event: OnEvent = lambda _: None,
    ending: Ending | None = None,
    on_late: Callable[[Finished], None] | None = None,
) -> Finished:
    """The result; raises TaskFailed. When the caller is cancelled, the worker is stopped before that
    goes on; `on_late` gets the result of one that was done before it could be stopped.
    """
    with span(f"run {task.kind}", {"soundstage.task": task.id, "soundstage.scheduler": scheduler.name}):
        start_ns = now_ns()
        # Sampled or not, the worker's spans belong here.
        await scheduler.submit(replace(task, traceparent=traceparent() if span_id() else None))
        try:
            return await _to_end(scheduler, task.id, on_event, start_ns)
        except asyncio.CancelledError:
            for_good = ending is not None and ending.for_good
            late = await finish(_stop(scheduler, task.id, for_good=for_good))
            if late is not None and on_late is not None:
                on_late(late)
            raise


async def run_task_again(
    scheduler: Scheduler,
    task: SegmentTask,
    on_event: OnEvent,
    ending: Ending | None = None,
) -> Finished:
    """Like `run_task`, tried again after a pause while the worker crashes, is killed or is lost. A second
    crash of the same kind is the input's: it is not tried a third time.
    """
    try:
        return await _tried(scheduler, task, on_event, ending)
    except asyncio.CancelledError:
        if ending is not None and ending.for_good:
            # It may have come between two tries, when there was no worker to tell.
            await finish(scheduler.discard_unfinished({task.unfinished}))
        raise


async def _tried(
    scheduler: Scheduler, task: SegmentTask, on_event: OnEvent, ending: Ending | None
) -> Finished:
    crashes: set[str] = set()
    for number in range(1, RETRIES.attempts + 1):
        name = _try_name(task.id, number)
        if any(scheduler.is_unclaimed(_try_name(task.id, later)) for later in _later(number)):
            continue
        try:
            return await run_task(scheduler, replace(task, id=name), on_event, ending)
        except TaskFailed as error:
            pause_s = RETRIES.wait_s(task.id, number)
            if pause_s is None or error.failure.code not in RETRYABLE:
                raise
            if error.failure.code == CRASHED and error.failure.message in crashes:
                failure = error.failure.model_copy(update={"hint": CRASHES_ON_INPUT})
                raise TaskFailed(failure, error.log) from error
            crashes.add(error.failure.message)
        await asyncio.sleep(pause_s)
    raise TaskFailed(CANCELLED)


def is_try_unclaimed(scheduler: Scheduler, task_id: str) -> bool:
    """Returns whether a try of this task goes on since before we were started."""
    return any(scheduler.is_unclaimed(_try_name(task_id, number)) for number in _later(0))


def _later(number: int) -> range:
    return range(number + 1, RETRIES.attempts + 1)


def _try_name(task_id: str, number: int) -> str:
    return f"{task_id}.{number}"


async def _to_end(scheduler: Scheduler, task_id: str, on_event: OnEvent, submitted_ns: int) -> Finished:
    waits = True
    async for event in scheduler.watch(task_id):
        if waits and event.state is TaskState.RUNNING:
            waits = False
            record_since("wait for a worker", submitted_ns)
        if isinstance(event.line, SpanEnded):
            _record_worker_span(event.line)
            continue
        on_event(event)
        if event.state is TaskState.DONE and event.result is not None:
            return event.result
        if event.last:
            raise TaskFailed(event.failure or CANCELLED, await scheduler.logs(task_id))
    raise TaskFailed(CANCELLED)


def _record_worker_span(line: SpanEnded) -> None:
    """Records a span that a worker has measured. One of another trace than the task's is not: a worker says
    nothing about others.
    """
    if line.trace_id == trace_id() and TENANT not in line.attributes:
        record_finished(
            SpanRecord(
                trace_id=line.trace_id,
                span_id=line.span_id,
                parent_id=line.parent_id,
                name=mask_text(line.name),
                kind="internal",
                start_ns=line.start_ns,
                end_ns=line.end_ns,
                is_error=line.is_error,
                attributes=plain_attributes(without_secrets(line.attributes)),
                service="worker",
            )
        )


async def _stop(scheduler: Scheduler, task_id: str, *, for_good: bool) -> Finished | None:
    await scheduler.cancel(task_id, for_good=for_good)
    async for event in scheduler.watch(task_id):
        if event.last:
            return event.result
    return None
