"""How a task ends: what its worker reports, what its allocation says when the worker is silent, and what is
tidied up afterwards. Used by the parts of the Nomad scheduler.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from avatar.spec import Failed, Finished, FrameProgress
from avatar.spec.work import WorkEnd, WorkReport

from farm.failures import OUT_OF_GPU_MEMORY
from farm.nomad.explaining import nomad_log
from farm.nomad.flight import Flight
from farm.nomad.tower import Tower
from farm.nomad.verdict import failure_of_allocation, outcome_of
from farm.states import TaskState
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

log = get_logger(__name__)


class Outcomes:
    """`on_room` is called when a place has become free."""

    def __init__(self, tower: Tower, on_room: Callable[[], None]) -> None:
        self._tower = tower
        self._on_room = on_room

    def hear(self, flight: Flight, report: WorkReport) -> None:
        """News from its worker."""
        story, ledger = flight.story, self._tower.ledger
        if story.ended:
            return
        if story.state is TaskState.QUEUED:
            # The worker is quicker than the event stream.
            ledger.move(story, TaskState.PLACED)
        if story.state is TaskState.PLACED:
            ledger.move(story, TaskState.RUNNING)
        if report.log:
            story.tail.add(report.log.encode())
        for line in report.lines:
            ledger.line(story, line)
            if isinstance(line, FrameProgress):
                self._tower.placer.expect(story.task.id, time.time() + line.eta_s)
        if report.end is not None:
            self.hear_end(flight, report.end)

    def hear_end(self, flight: Flight, end: WorkEnd) -> None:
        if end.ended_by == "cancel":
            # Ours is told when the allocation has ended, for only then is its card free. Of another's we wait
            # for the allocation that follows.
            return
        job = self._tower.options.job
        program = " ".join(job.program) or job.command
        self.end(flight, outcome_of(end, program=program, time_limit_s=flight.story.task.time_limit_s))

    async def end_without_word(self, flight: Flight, allocation: dict[str, Any]) -> None:
        """The worker's word may have gone to another process of ours; then it is on the ticket."""
        end = await self._tower.transfer.end_of(flight.story.task.id)
        if end is not None:
            self.hear_end(flight, end)
            return
        flight.story.tail.add((await nomad_log(self._tower.client, flight)).encode())
        self.end(flight, failure_of_allocation(allocation))

    def end(self, flight: Flight, outcome: Finished | Failed) -> None:
        """Only the first one counts."""
        if flight.story.ended:
            return
        self._learn_from(flight, outcome)
        ledger = self._tower.ledger
        if isinstance(outcome, Finished):
            ledger.end(flight.story, TaskState.DONE, result=outcome)
        else:
            state = TaskState.CANCELLED if flight.cancelling else TaskState.FAILED
            ledger.end(flight.story, state, failure=outcome)
        self._tower.errands.begin(self._settle(flight))

    def leave(self, flight: Flight, failure: Failed) -> None:
        """Told to whoever waits here; the job runs on, and its ticket stays open for who comes after us."""
        if flight.story.ended:
            return
        self._tower.ledger.end(flight.story, TaskState.CANCELLED, failure=failure)
        self._tower.transfer.ignore(flight.story.task.id)
        self._drop(flight)

    def _learn_from(self, flight: Flight, outcome: Finished | Failed) -> None:
        node, engine = str((flight.newest or {}).get("NodeID") or ""), flight.story.task.needs.engine
        if not node or flight.cancelling:
            return
        if isinstance(outcome, Finished):
            self._tower.placer.succeeded(node, engine, outcome.peak_vram_mib)
        elif outcome.code == OUT_OF_GPU_MEMORY:
            self._tower.placer.overflowed(engine, flight.choice.vram_mib)
        else:
            self._tower.placer.failed(node, engine, outcome.code)

    async def _settle(self, flight: Flight) -> None:
        """Forgets a task that has ended; its place is free for the next one."""
        task_id = flight.story.task.id
        try:
            if task_id not in self._tower.unclaimed:
                await self._tower.transfer.close(task_id)
            await self._tower.registration.forget_token(flight.job_id)
        except SoundstageError as error:
            # The token is void by its time in any case; tidying comes by later.
            log.warning("farm.nomad.settle_failed", task=task_id, error=str(error))
        finally:
            self._drop(flight)
            self._on_room()

    def _drop(self, flight: Flight) -> None:
        self._tower.placer.release(flight.story.task.id)
        self._tower.flights.drop(flight)
        flight.settled.set()
