"""Holds the state that the parts of the Nomad scheduler share: in-flight tasks, the placer, and the clients
of Nomad and of the workers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from farm.nomad.client import NomadClient
from farm.nomad.inflight import InFlightTask
from farm.nomad.placer import Placer
from farm.nomad.registration import NomadOptions, Registration
from farm.task_registry import TaskRegistry
from farm.tasks import SegmentTask
from farm.transfer import TransferService
from soundstage.tasks import cancel_all
from soundstage.telemetry import get_logger

log = get_logger(__name__)


class BackgroundTasks:
    """Logs an exception of one task and lets the others go on (asyncio.TaskGroup would cancel them)."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> None:
        """`context`: of a task's submission, so that what is done for it belongs to its trace."""
        task = asyncio.create_task(work, context=context)
        # Held here, for the event loop holds tasks only weakly.
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def cancel_all(self) -> None:
        await cancel_all([*self._tasks])

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("farm.nomad.fault", exc_info=error)


class InFlightTasks:
    """Indexes tasks that are on the cluster by task id and by job id."""

    def __init__(self) -> None:
        self._by_task: dict[str, InFlightTask] = {}
        self._by_job: dict[str, InFlightTask] = {}

    def __len__(self) -> int:
        return len(self._by_task)

    def __iter__(self) -> Iterator[InFlightTask]:
        return iter([*self._by_task.values()])

    def __contains__(self, job_id: object) -> bool:
        """Looks it up by the id of its job."""
        return job_id in self._by_job

    def add(self, inflight: InFlightTask) -> None:
        self._by_task[inflight.record.task.id] = inflight
        self._by_job[inflight.job_id] = inflight

    def drop(self, inflight: InFlightTask) -> None:
        self._by_task.pop(inflight.record.task.id, None)
        self._by_job.pop(inflight.job_id, None)

    def find(self, task_id: str) -> InFlightTask | None:
        return self._by_task.get(task_id)

    def of_job(self, job_id: str) -> InFlightTask | None:
        return self._by_job.get(job_id)

    def tasks(self) -> dict[str, SegmentTask]:
        """Returns the tasks by the ids of their jobs."""
        return {name: inflight.record.task for name, inflight in self._by_job.items()}


@dataclass(slots=True)
class SchedulerState:
    """`not_resubmitted` are tasks of an earlier process that were not submitted again yet; `detaching` is
    True when another process will take over.
    """

    client: NomadClient
    transfer: TransferService
    registration: Registration
    placer: Placer
    options: NomadOptions
    registry: TaskRegistry = field(default_factory=TaskRegistry)
    inflight_tasks: InFlightTasks = field(default_factory=InFlightTasks)
    background: BackgroundTasks = field(default_factory=BackgroundTasks)
    not_resubmitted: set[str] = field(default_factory=set)
    detaching: bool = False
