"""Ends tasks by the report of their worker, or by their allocation where no report comes, and cleans up after
them. Used by the parts of the Nomad scheduler.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from avatar.spec import Failed, Finished, FrameProgress
from avatar.spec.work import WorkEnd, WorkReport

from farm.failures import OUT_OF_GPU_MEMORY
from farm.nomad.explaining import nomad_log
from farm.nomad.inflight import InFlightTask
from farm.nomad.state import SchedulerState
from farm.nomad.verdict import failure_of_allocation, outcome_of
from farm.states import TaskState
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

log = get_logger(__name__)


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
        if record.state is TaskState.QUEUED:
            # The worker is quicker than the event stream.
            registry.move(record, TaskState.PLACED)
        if record.state is TaskState.PLACED:
            registry.move(record, TaskState.RUNNING)
        if report.log:
            record.tail.add(report.log.encode())
        for line in report.lines:
            registry.add_progress(record, line)
            if isinstance(line, FrameProgress):
                self._state.placer.set_expected_end(record.task.id, time.time() + line.eta_s)
        if report.end is not None:
            self.on_end(inflight, report.end)

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
        end = await self._state.transfer.end_of(inflight.record.task.id)
        if end is not None:
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
                await self._state.transfer.close(task_id)
            await self._state.registration.forget_token(inflight.job_id)
        except SoundstageError as error:
            # The token expires in any case, and the purge of ended jobs removes the rest.
            log.warning("farm.nomad.release_failed", task=task_id, error=str(error))
        finally:
            self._drop(inflight)
            self._on_capacity_freed()

    def _drop(self, inflight: InFlightTask) -> None:
        self._state.placer.release(inflight.record.task.id)
        self._state.inflight_tasks.drop(inflight)
        inflight.released.set()
