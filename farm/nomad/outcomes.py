"""Ends tasks by the report of their worker, or by their allocation where no report comes, cleans up after
them, and explains where one is and why it waits. Used by the parts of the Nomad scheduler.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from avatar.spec import Failed, Finished, FrameProgress
from avatar.spec.work import WorkEnd, WorkReport

from farm.failures import OUT_OF_GPU_MEMORY
from farm.local.process import ProcessEnd
from farm.local.verdict import Reading, failure_of
from farm.nomad.client import NomadClient
from farm.nomad.event_stream import ClusterWatch, until_reachable
from farm.nomad.inflight import InFlightTask
from farm.nomad.state import SchedulerState
from farm.states import TaskState
from farm.task_registry import TaskRecord
from farm.tasks import SegmentTask
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

log = get_logger(__name__)
MAX_SENTENCE = 390
"""Renders keep why they wait in a column of 400 characters."""


class Outcomes:
    """Records how tasks end. Calls `on_capacity_freed` when an ended task has released its resources."""

    def __init__(self, state: SchedulerState, on_capacity_freed: Callable[[], None]) -> None:
        self._state = state
        self._on_capacity_freed = on_capacity_freed

    def on_report(self, inflight: InFlightTask, report: WorkReport) -> None:
        """Applies a report of its worker."""
        record, registry = inflight.record, self._state.registry
        if record.ended:
            return
        self._note_running(record)
        if report.log:
            record.tail.add(report.log.encode())
        for line in report.lines:
            registry.add_progress(record, line)
            if isinstance(line, FrameProgress):
                self._state.placer.table.set_expected_end(record.task.id, time.time() + line.eta_s)
        if report.end is not None:
            self.on_end(inflight, report.end)

    def _note_running(self, record: TaskRecord) -> None:
        """Moves it to RUNNING: its worker is quicker than the event stream."""
        registry = self._state.registry
        if record.state is TaskState.QUEUED:
            registry.move(record, TaskState.PLACED)
        if record.state is TaskState.PLACED:
            registry.move(record, TaskState.RUNNING)

    def on_end(self, inflight: InFlightTask, end: WorkEnd) -> None:
        if end.ended_by == "cancel":
            # The task ends when the allocation has ended, because only then is its GPU free. When Nomad or an
            # operator stopped the worker, another allocation follows.
            return
        job = self._state.options.job
        program = " ".join(job.program) or job.command
        self.end(inflight, outcome_of(end, program=program, time_limit_s=inflight.record.task.time_limit_s))

    async def end_without_report(self, inflight: InFlightTask, allocation: dict[str, Any]) -> None:
        """Ends a task without a report to this process. Uses the end stored with its ticket (its row in the
        database) if another server process received the report, else the state of the allocation.
        """

        async def read() -> WorkEnd | None:
            ended = inflight.record.ended
            return None if ended else await self._state.transfer.end_of(inflight.record.task.id)

        # A task whose end cannot be read now would have none.
        end = await until_reachable(read, lambda message: None)
        if inflight.record.ended or inflight.running_somewhere:
            # Meanwhile it has ended otherwise, or was placed again.
            return
        if end is not None:
            # It may have run and ended before this process knew of it.
            self._note_running(inflight.record)
            self.on_end(inflight, end)
            return
        inflight.record.tail.add((await nomad_log(self._state.client, inflight)).encode())
        self.end(inflight, failure_of_allocation(allocation))

    def end(self, inflight: InFlightTask, outcome: Finished | Failed) -> None:
        """Ends it with this outcome; a second outcome changes nothing."""
        if inflight.record.ended:
            return
        self._record_outcome(inflight, outcome)
        registry = self._state.registry
        if isinstance(outcome, Finished):
            registry.end(inflight.record, TaskState.DONE, result=outcome)
        else:
            end_state = TaskState.CANCELLED if inflight.cancelling else TaskState.FAILED
            registry.end(inflight.record, end_state, failure=outcome)
        self._state.background.start(self._release(inflight))

    def detach(self, inflight: InFlightTask, failure: Failed) -> None:
        """Ends it for the watchers of this process only: the job runs on, with an open ticket for the next
        process.
        """
        if inflight.record.ended:
            return
        self._state.registry.end(inflight.record, TaskState.CANCELLED, failure=failure)
        self._state.transfer.ignore(inflight.record.task.id)
        self._drop(inflight)

    def _record_outcome(self, inflight: InFlightTask, outcome: Finished | Failed) -> None:
        engine = inflight.record.task.needs.engine
        node = str((inflight.latest_allocation or {}).get("NodeID") or "")
        if not node or inflight.cancelling:
            return
        if isinstance(outcome, Finished):
            self._state.placer.record_success(node, engine, outcome.peak_vram_mib)
        elif outcome.code == OUT_OF_GPU_MEMORY:
            self._state.placer.record_out_of_memory(engine, inflight.choice.vram_mib)
        else:
            self._state.placer.record_failure(node, engine, outcome.code)

    async def _release(self, inflight: InFlightTask) -> None:
        """Releases the token, the ticket and the capacity of an ended task."""
        task_id = inflight.record.task.id
        try:
            if task_id not in self._state.not_resubmitted:
                await until_reachable(lambda: self._state.transfer.close(task_id), lambda message: None)
            await self._state.registration.forget_token(inflight.job_id)
        except SoundstageError as error:
            # The token expires in any case, and the purge of ended jobs removes the rest.
            log.warning("farm.nomad.release_failed", task=task_id, error=str(error))
        finally:
            self._drop(inflight)
            self._on_capacity_freed()

    def _drop(self, inflight: InFlightTask) -> None:
        self._state.placer.table.release(inflight.record.task.id)
        self._state.inflight_tasks.drop(inflight)
        inflight.released.set()


def explain_wait(record: TaskRecord, state: SchedulerState, watch: ClusterWatch) -> str:
    """Returns where the task is, and why it does not run if it does not."""
    task, inflight = record.task, state.inflight_tasks.find(record.task.id)
    if record.ended:
        failure = record.events[-1].failure
        return f"ended: {record.state}" + (f", {failure.message}" if failure else "")
    if inflight is None or task.id in state.placer.queue:
        return f"waits: {_why_queued(task, state, watch)}"[:MAX_SENTENCE]
    if record.state is not TaskState.RUNNING:
        return f"waits: {_why_not_running(inflight, watch)}"[:MAX_SENTENCE]
    return record.running_sentence


def _why_queued(task: SegmentTask, state: SchedulerState, watch: ClusterWatch) -> str:
    if not watch.connected:
        return watch.last_error or "the connection to Nomad is being made"
    busy, maximum = len(state.inflight_tasks), state.options.max_running
    if busy >= maximum:
        return f"{busy} of {maximum} workers busy, {state.placer.queue.ahead_of(task.id)} ahead of it"
    return state.placer.why(task)


def _why_not_running(inflight: InFlightTask, watch: ClusterWatch) -> str:
    if inflight.last_error or not watch.connected:
        return inflight.last_error or watch.last_error or "the connection to Nomad is being made"
    latest = inflight.latest_allocation
    if latest is None:
        return "its job is with Nomad, which is choosing a node"
    return f"its worker is being started on {latest.get('NodeName') or 'its node'}"


async def nomad_log(client: NomadClient, inflight: InFlightTask | None) -> str:
    """Returns the log of its newest allocation: what the worker wrote before it could report to us."""
    latest = inflight.latest_allocation if inflight is not None else None
    if latest is None:
        return ""
    try:
        chunks = [chunk async for chunk in client.logs(latest["ID"], "avatar")]
    except SoundstageError as error:
        return f"(the log on the node cannot be read: {error.message})"
    return b"".join(chunks).decode("utf-8", errors="replace")


def outcome_of(end: WorkEnd, *, program: str, time_limit_s: float) -> Finished | Failed:
    """The result, or why there is none. The end must not be one of a cancelled worker."""
    if end.fault is not None:
        return end.fault
    reading = Reading()
    reading.result, reading.failure, reading.garbage = end.result, end.failure, end.garbage
    ended = ProcessEnd(end.returncode, end.ended_by)
    failure = failure_of(ended, reading, program=program, time_limit_s=time_limit_s)
    if failure is None and end.result is not None:
        return end.result
    return failure or LOST


LOST = Failed(
    code="worker.lost",
    message="The worker is gone and has left no word.",
    hint="It is tried again; if it stays, look at the node.",
)
STOPPED = Failed(
    code="farm.job_stopped",
    message="The job of this step was stopped on the cluster.",
    hint="Retry the render when that was not meant.",
)


def failure_of_allocation(allocation: dict[str, Any]) -> Failed:
    """For an allocation that ended without a report of its worker: what Nomad says of its task."""
    if allocation.get("ClientStatus") == "lost":
        return LOST
    node = allocation.get("NodeName") or "the node"
    for state in (allocation.get("TaskStates") or {}).values():
        for event in reversed(state.get("Events") or ()):
            detail = str(event.get("DisplayMessage") or event.get("Message") or "")[:300]
            kind = event.get("Type")
            if (event.get("Details") or {}).get("oom_killed") == "true" or kind == "OOM Killed":
                return Failed(
                    code="worker.killed",
                    message=f"The worker on {node} was killed: it took more memory than it had asked for.",
                    hint="Raise the memory of this engine, or make the picture smaller.",
                )
            if kind in ("Driver Failure", "Setup Failure", "Failed Validation", "Template"):
                return Failed(
                    code="worker.not_started",
                    message=f"The worker could not be started on {node}: {detail.rstrip('.')}.",
                    hint="Check farm.nomad.command and farm.nomad.driver on that node.",
                )
            if kind == "Terminated":
                return Failed(
                    code="worker.crashed",
                    message=f"The worker on {node} ended without a word: {detail.rstrip('.')}.",
                    hint="Retry; if it stays, read the log of the render.",
                )
    return LOST
