"""The scheduler for more than one machine: one Nomad batch job per task, registered when it can run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection

from farm.failures import CANCELLED
from farm.needs import Needs
from farm.nomad.client import NomadClient
from farm.nomad.event_handlers import ClusterEventHandler
from farm.nomad.event_stream import ClusterWatch
from farm.nomad.inflight import InFlightTask
from farm.nomad.inventory import Eligible
from farm.nomad.launching import Launcher
from farm.nomad.outcomes import explain_wait, nomad_log
from farm.nomad.placer import Placer
from farm.nomad.registration import NomadOptions, Registration
from farm.nomad.request import PlacementHint
from farm.nomad.state import SchedulerState
from farm.scheduler import FarmAvailability
from farm.states import TaskState
from farm.tasks import SegmentTask, TaskEvent
from farm.transfer import TransferService
from soundstage.background import Worker
from soundstage.blobs import BlobStore
from soundstage.telemetry import get_logger

log = get_logger(__name__)


class NomadScheduler:
    """See `farm.scheduler.Scheduler`. Takes over tasks that an earlier process has left on the cluster:
    submitting the same id again re-attaches to the running job.
    """

    name = "nomad"

    def __init__(
        self,
        client: NomadClient,
        blobs: BlobStore,
        transfer: TransferService,
        options: NomadOptions,
        expected_s: Callable[[SegmentTask], float | None] = lambda task: None,
    ) -> None:
        """`expected_s` estimates how long a task will run."""
        job = options.job
        placer = Placer(Eligible(job.driver, job.node_pool, job.datacenters), expected_s)
        registration = Registration(client, blobs, transfer, options)
        self._state = SchedulerState(client, transfer, registration, placer, options)
        self._launcher = Launcher(self._state)
        self._watch = ClusterWatch(client, job.prefix, ClusterEventHandler(self._state, self._launcher))
        self._workers = (
            self._watch.worker,
            Worker("nomad queue", self._recheck_queue, poll_s=options.poll_s),
            Worker("nomad ended jobs", self._purge_ended_jobs, poll_s=min(600.0, options.keep_s)),
        )
        self._taken_over = False
        self._workers_started = False

    @property
    def placer(self) -> Placer:
        """Returns the nodes and leases as this process knows them; empty where another one dispatches."""
        return self._state.placer

    async def start(self) -> None:
        """Takes over the tasks of earlier processes, and starts the workers; in the leader only."""
        if not self._taken_over:
            self._taken_over = True
            await self._take_over()
        await self._start_workers()

    async def submit(self, task: SegmentTask) -> None:
        await self._start_workers()
        state = self._state
        record = state.registry.find(task.id)
        if record is None:
            state.registry.add(task)
            state.placer.push(task)
            self._launcher.launch_ready()
        elif task.id in state.not_resubmitted:
            state.not_resubmitted.discard(task.id)
            if record.ended:
                # Its result is consumed now; tickets of tasks that are not resubmitted stay open until then.
                await state.transfer.close(task.id)

    def watch(self, task_id: str) -> AsyncIterator[TaskEvent]:
        return self._state.registry.watch(task_id)

    async def cancel(self, task_id: str, *, for_good: bool = False) -> None:
        state = self._state
        record, inflight = state.registry.get(task_id), state.inflight_tasks.find(task_id)
        if state.placer.queue.remove(task_id, state.placer.table):
            state.registry.end(record, TaskState.CANCELLED, failure=CANCELLED)
        elif inflight is not None and state.detaching and not for_good:
            self._launcher.outcomes.detach(inflight, CANCELLED)
        elif inflight is not None:
            # Before Nomad stops the job: the reply to the worker's last report says what it may delete.
            state.transfer.request_stop(task_id, for_good=for_good)
            if not inflight.cancelling:
                inflight.cancelling = True
                state.background.start(self._launcher.stop(inflight))

    async def set_priority(self, task_ids: Collection[str], priority: int) -> None:
        self._state.placer.set_priority(task_ids, priority)

    async def discard_unfinished(self, names: Collection[str]) -> None:
        """Cancels tasks with these names for good; files on other nodes expire."""
        for inflight in [*self._state.inflight_tasks]:
            name = inflight.record.task.unfinished
            if name and name in names and not inflight.record.ended:
                await self.cancel(inflight.record.task.id, for_good=True)

    async def logs(self, task_id: str) -> str:
        record = self._state.registry.get(task_id)
        return record.tail.text() or await nomad_log(
            self._state.client, self._state.inflight_tasks.find(task_id)
        )

    async def explain(self, task_id: str) -> str:
        return explain_wait(self._state.registry.get(task_id), self._state, self._watch)

    def node_of(self, task_id: str) -> str:
        inflight = self._state.inflight_tasks.find(task_id)
        latest = None if inflight is None else inflight.latest_allocation
        return "" if latest is None else str(latest.get("NodeName") or "")

    async def availability(self, needs: Needs, owner: str) -> FarmAvailability:
        state = self._state
        places, waiting = state.placer.availability(needs, owner, state.options.max_running)
        return FarmAvailability(places, tuple(state.registry.get(task_id).task for task_id in waiting))

    def is_unclaimed(self, task_id: str) -> bool:
        record = self._state.registry.find(task_id)
        useful = record is not None and (not record.ended or record.state is TaskState.DONE)
        return useful and task_id in self._state.not_resubmitted

    def detach(self) -> None:
        self._state.detaching = True

    async def close(self) -> None:
        state = self._state
        inflight_tasks = [*state.inflight_tasks]
        for record in state.registry:
            if not record.ended:
                await self.cancel(record.task.id)
        if inflight_tasks:
            await asyncio.wait(
                [asyncio.ensure_future(inflight.released.wait()) for inflight in inflight_tasks]
            )
        for worker in self._workers:
            await worker.close()
        await state.background.cancel_all()
        await state.client.close()

    async def _take_over(self) -> None:
        state, outcomes = self._state, self._launcher.outcomes
        for ticket in await state.transfer.open_tickets():
            record = state.registry.add(ticket.task)
            inflight = InFlightTask(record, ticket.job_id, PlacementHint(), registered=True, inherited=True)
            state.not_resubmitted.add(ticket.task.id)
            self._launcher.track(inflight)
            if ticket.end is not None:
                state.registry.move(record, TaskState.PLACED)
                state.registry.move(record, TaskState.RUNNING)
                outcomes.on_end(inflight, ticket.end)
            else:
                state.background.start(self._drop_unless_claimed(inflight))

    async def _drop_unless_claimed(self, inflight: InFlightTask) -> None:
        await asyncio.sleep(self._state.options.claim_s)
        task_id = inflight.record.task.id
        if task_id in self._state.not_resubmitted and not inflight.record.ended:
            log.warning("farm.nomad.not_resubmitted", task=task_id)
            await self.cancel(task_id)

    async def _start_workers(self) -> None:
        if not self._workers_started:
            self._workers_started = True
            for worker in self._workers:
                await worker.start()

    async def _recheck_queue(self) -> None:
        """Admits again after what time alone changes: blocks of nodes expire, long waits get reservations."""
        self._state.placer.forget_old()
        self._launcher.launch_ready()

    async def _purge_ended_jobs(self) -> None:
        await self._state.registration.purge_ended(self._state.inflight_tasks)
