"""The scheduler for more than one machine: one Nomad batch job per task, registered when it can run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Any

from avatar.spec import Failed, Finished
from avatar.spec.work import WorkEnd, WorkReport

from farm.failures import CANCELLED, failure_from_error
from farm.ledger import Ledger
from farm.nomad.backoff import Backoff
from farm.nomad.census import Eligible
from farm.nomad.client import NomadClient
from farm.nomad.flight import TERMINAL_ALLOCATION, Flight
from farm.nomad.placer import Placer
from farm.nomad.registration import NomadOptions, Registration
from farm.nomad.request import Choice, job_id
from farm.nomad.verdict import LOST, STOPPED, failure_of_allocation, outcome_of
from farm.nomad.watching import ClusterWatch, cancel_all, until_reachable
from farm.states import TaskState
from farm.tasks import Placement, SegmentTask, TaskEvent
from farm.transfer import TransferService
from soundstage.blobs import BlobStore
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

MAX_LAUNCHES = 3
MAX_SENTENCE = 390
"""Renders keep why they wait in a column of 400 characters."""

log = get_logger(__name__)


class NomadScheduler:
    """See `farm.scheduler.Scheduler`. Tasks that an earlier process has left on the cluster are taken over:
    the same id submitted again goes on where it was.
    """

    name = "nomad"

    def __init__(
        self, client: NomadClient, blobs: BlobStore, transfer: TransferService, options: NomadOptions
    ) -> None:
        self._client = client
        self._transfer = transfer
        self._options = options
        self._ledger = Ledger()
        job = options.job
        self._placer = Placer(Eligible(job.driver, job.node_pool, job.datacenters))
        self._flights: dict[str, Flight] = {}
        self._by_job: dict[str, Flight] = {}
        self._watch = ClusterWatch(client, options.job.prefix, self)
        self._work: set[asyncio.Task[None]] = set()
        self._registration = Registration(client, blobs, transfer, options)
        self._unclaimed: set[str] = set()
        self._counted = asyncio.Event()
        self._taken_over = False
        self._opened = False
        self._leaving = False

    async def start(self) -> None:
        """Only the one process that drives may start it: it takes over what others have left."""
        if not self._taken_over:
            self._taken_over = True
            await self._take_over()
        self._open()

    async def submit(self, task: SegmentTask) -> Placement:
        self._open()
        story = self._ledger.find(task.id)
        if story is None:
            story = self._ledger.begin(task)
            self._placer.push(task)
            self._release()
        elif task.id in self._unclaimed:
            self._unclaimed.discard(task.id)
            if story.ended:
                await self._transfer.close(task.id)
        ahead = self._placer.ahead_of(task.id) if task.id in self._placer else 0
        return Placement(task.id, self.name, story.state, ahead)

    def watch(self, task_id: str) -> AsyncIterator[TaskEvent]:
        return self._ledger.watch(task_id)

    async def cancel(self, task_id: str) -> None:
        story = self._ledger.story(task_id)
        if self._placer.remove(task_id):
            self._ledger.end(story, TaskState.CANCELLED, failure=CANCELLED)
        elif self._leaving:
            # Told to whoever waits here; the job runs on, and its ticket stays open for who comes after us.
            self._forget(self._flights.get(task_id), CANCELLED)
        elif (flight := self._flights.get(task_id)) is not None and not flight.cancelling:
            flight.cancelling = True
            self._transfer.unwanted(task_id)
            self._begin(self._stop(flight))

    async def logs(self, task_id: str) -> str:
        story = self._ledger.story(task_id)
        return story.tail.text() or await self._nomad_log(self._flights.get(task_id))

    async def explain(self, task_id: str) -> str:
        story = self._ledger.story(task_id)
        if story.ended:
            failure = story.events[-1].failure
            return f"ended: {story.state}" + (f", {failure.message}" if failure else "")
        if task_id in self._placer:
            return f"waits: {self._why_in_line(story.task)}"[:MAX_SENTENCE]
        if story.state is TaskState.RUNNING:
            frames = story.frames
            if frames is None:
                return "runs: the worker is getting ready"
            return (
                f"runs: frame {frames.done_frames} of {frames.total_frames}, about {frames.eta_s:.0f} s left"
            )
        return "waits: " + self._why_not_running(self._flights[task_id])

    def left_over(self, task_id: str) -> bool:
        story = self._ledger.find(task_id)
        useful = story is not None and (not story.ended or story.state is TaskState.DONE)
        return useful and task_id in self._unclaimed

    def leave(self) -> None:
        self._leaving = True

    async def close(self) -> None:
        flights = [*self._flights.values()]
        for story in self._ledger:
            if not story.ended:
                await self.cancel(story.task.id)
        if flights:
            await asyncio.wait([asyncio.ensure_future(flight.settled.wait()) for flight in flights])
        await cancel_all(self._work)
        await self._client.close()

    # What the cluster tells

    async def listed(self, jobs: dict[str, dict[str, Any]]) -> None:
        for flight in [*self._flights.values()]:
            if not flight.registered:
                continue
            for allocation in await self._client.allocations(flight.job_id):
                self.allocation_changed(allocation)
            job = jobs.get(flight.job_id)
            if job is None:
                self._job_gone(flight)
            else:
                self._job_seen(flight, job)

    def allocation_changed(self, allocation: dict[str, Any]) -> None:
        flight = self._by_job.get(str(allocation["JobID"]))
        if flight is None or not flight.take(allocation):
            return
        if flight.story.state is TaskState.QUEUED:
            self._ledger.move(flight.story, TaskState.PLACED)
            flight.registered = True
            limits = flight.story.task.time_limit_s + self._options.patience_s
            self._begin(self._transfer.limit(flight.story.task.id, limits))
            self._release()
        if flight.newest is not None and flight.newest["ID"] == allocation["ID"]:
            self._look_at_end(flight, allocation)

    def job_changed(self, kind: str, job: dict[str, Any]) -> None:
        flight = self._by_job.get(str(job["ID"]))
        if flight is None:
            return
        if kind == "JobDeregistered":
            # The event looks the same for a job that was stopped and for one that was purged.
            self._begin(self._look_at_job(flight))
        else:
            self._job_seen(flight, job)

    async def _look_at_job(self, flight: Flight) -> None:
        try:
            job = await self._client.job(flight.job_id)
        except SoundstageError as error:
            log.warning("farm.nomad.look_failed", job=flight.job_id, error=str(error))
            return
        if job is None:
            self._job_gone(flight)
        else:
            self._job_seen(flight, job)

    def _look_at_end(self, flight: Flight, allocation: dict[str, Any]) -> None:
        if allocation["ClientStatus"] not in TERMINAL_ALLOCATION or flight.story.ended:
            return
        if flight.cancelling:
            if not flight.running_somewhere:
                self._end(flight, CANCELLED)
        elif flight.stopped:
            if not flight.running_somewhere:
                self._end(flight, STOPPED)
        elif allocation["ClientStatus"] == "lost" or allocation.get("DesiredStatus") != "run":
            # Nomad places it anew: its node is gone or drained, or the farm has taken its card away.
            log.warning("farm.nomad.moved", task=flight.story.task.id, node=allocation.get("NodeName"))
        else:
            self._begin(self._end_without_word(flight, allocation))

    async def _end_without_word(self, flight: Flight, allocation: dict[str, Any]) -> None:
        """The worker's word may have gone to another process of ours; then it is on the ticket."""
        end = await self._transfer.end_of(flight.story.task.id)
        if end is not None:
            self._hear_end(flight, end)
            return
        flight.story.tail.add((await self._nomad_log(flight)).encode())
        self._end(flight, failure_of_allocation(allocation))

    def _job_seen(self, flight: Flight, job: dict[str, Any]) -> None:
        flight.stopped = bool(job.get("Stop"))
        if flight.stopped and not flight.running_somewhere:
            self._end(flight, CANCELLED if flight.cancelling else STOPPED)

    def _job_gone(self, flight: Flight) -> None:
        """Purged by somebody, or the cluster has lost its memory: the work is still wanted."""
        if not flight.registered or flight.registering or flight.story.ended:
            return
        flight.registered = False
        flight.allocations.clear()
        if flight.cancelling:
            self._end(flight, CANCELLED)
        elif flight.launches >= MAX_LAUNCHES:
            self._end(flight, LOST)
        else:
            log.warning("farm.nomad.job_gone", task=flight.story.task.id)
            self._begin(self._launch(flight))

    # What workers tell

    def _hear(self, flight: Flight, report: WorkReport) -> None:
        story = flight.story
        if story.ended:
            return
        if story.state is TaskState.QUEUED:
            # The worker is quicker than the event stream.
            self._ledger.move(story, TaskState.PLACED)
        if story.state is TaskState.PLACED:
            self._ledger.move(story, TaskState.RUNNING)
        if report.log:
            story.tail.add(report.log.encode())
        for line in report.lines:
            self._ledger.line(story, line)
        if report.end is not None:
            self._hear_end(flight, report.end)

    def _hear_end(self, flight: Flight, end: WorkEnd) -> None:
        if end.ended_by == "cancel":
            # Ours is told when the allocation has ended, for only then is its card free. Of another's we wait
            # for the allocation that follows.
            return
        program = " ".join(self._options.job.program) or self._options.job.command
        self._end(flight, outcome_of(end, program=program, time_limit_s=flight.story.task.time_limit_s))

    def _end(self, flight: Flight, outcome: Finished | Failed) -> None:
        if not flight.story.ended:
            self._learn_from(flight, outcome)
            if isinstance(outcome, Finished):
                self._ledger.end(flight.story, TaskState.DONE, result=outcome)
            else:
                state = TaskState.CANCELLED if flight.cancelling else TaskState.FAILED
                self._ledger.end(flight.story, state, failure=outcome)
            self._begin(self._settle(flight))

    def _forget(self, flight: Flight | None, failure: Failed) -> None:
        if flight is None or flight.story.ended:
            return
        self._ledger.end(flight.story, TaskState.CANCELLED, failure=failure)
        self._transfer.ignore(flight.story.task.id)
        self._drop(flight)

    def _drop(self, flight: Flight) -> None:
        self._placer.release(flight.story.task.id)
        self._flights.pop(flight.story.task.id, None)
        self._by_job.pop(flight.job_id, None)
        flight.settled.set()

    def _learn_from(self, flight: Flight, outcome: Finished | Failed) -> None:
        node, engine = str((flight.newest or {}).get("NodeID") or ""), flight.story.task.needs.engine
        if not node or flight.cancelling:
            return
        if isinstance(outcome, Finished):
            self._placer.succeeded(node, engine)
        else:
            self._placer.failed(node, engine, outcome.code)

    async def _settle(self, flight: Flight) -> None:
        """Forgets a task that has ended; its place is free for the next one."""
        task_id = flight.story.task.id
        try:
            if task_id not in self._unclaimed:
                await self._transfer.close(task_id)
            await self._registration.forget_token(flight.job_id)
        except SoundstageError as error:
            # The token is void by its time in any case; tidying comes by later.
            log.warning("farm.nomad.settle_failed", task=task_id, error=str(error))
        finally:
            self._drop(flight)
            self._release()

    # What we do

    def _release(self) -> None:
        """Only what can run goes to Nomad: it keeps all that waits in the memory of its servers."""
        if self._leaving:
            return
        room = self._options.max_running - len(self._flights)
        for task_id, choice in self._placer.admit(room):
            flight = Flight(self._ledger.story(task_id), job_id(self._options.job.prefix, task_id), choice)
            self._take(flight)
            self._begin(self._launch(flight))

    async def _count(self) -> None:
        """Looks at nodes, cards and allocations again and again, and takes work off cards that are gone."""
        backoff = Backoff()
        while True:
            try:
                await self._look_around()
                backoff.reset()
            except SoundstageError as error:
                log.warning("farm.nomad.count_failed", error=str(error))
                await backoff.pause()
                continue
            self._counted.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._counted.wait(), self._options.count_s)

    async def _look_around(self) -> None:
        nodes, allocations = await self._client.nodes(), await self._client.all_allocations()
        ours = {name: flight.story.task for name, flight in self._by_job.items()}
        for task_id in self._placer.learn(nodes, allocations, ours):
            flight = self._flights.get(task_id)
            newest = flight.newest if flight is not None else None
            if flight is not None and newest is not None and newest["ID"] not in flight.evicted:
                log.warning("farm.nomad.card_gone", task=task_id, node=newest.get("NodeName"))
                flight.evicted.add(newest["ID"])
                await self._client.stop_allocation(newest["ID"])
        self._release()

    async def _tidy(self) -> None:
        while True:
            with suppress(SoundstageError):
                await self._registration.purge_ended(self._by_job)
            await asyncio.sleep(min(600.0, self._options.keep_s))

    def _take(self, flight: Flight) -> None:
        self._flights[flight.story.task.id] = flight
        self._by_job[flight.job_id] = flight
        self._transfer.listen(flight.story.task.id, lambda report: self._hear(flight, report))

    async def _launch(self, flight: Flight) -> None:
        flight.launches += 1

        def trouble(said: str) -> None:
            flight.trouble = said

        try:
            await until_reachable(lambda: self._register(flight), trouble)
        except (OSError, SoundstageError) as error:
            self._end(flight, failure_from_error(error))
            return
        if flight.cancelling:
            await self._stop(flight)

    async def _register(self, flight: Flight) -> None:
        if flight.cancelling:
            self._end(flight, CANCELLED)
            return
        # Before the call: it may be through on the server and fail on its way back.
        flight.registered = flight.registering = True
        await self._registration.register(flight.story.task, flight.job_id, flight.choice)
        flight.registering = False

    async def _stop(self, flight: Flight) -> None:
        """Until nothing of it runs; after `cancel_s` without news of it, it counts as gone."""
        if not flight.registered:
            return
        try:
            async with asyncio.timeout(self._options.cancel_s):
                await until_reachable(lambda: self._client.stop(flight.job_id), lambda said: None)
                if not await self._client.allocations(flight.job_id):
                    self._end(flight, CANCELLED)
                await flight.settled.wait()
        except (TimeoutError, SoundstageError) as error:
            log.warning("farm.nomad.stop_unconfirmed", task=flight.story.task.id, error=str(error))
            self._end(flight, CANCELLED)

    async def _take_over(self) -> None:
        for ticket in await self._transfer.open_tickets():
            story = self._ledger.begin(ticket.task)
            flight = Flight(story, ticket.job_id, Choice(), registered=True)
            self._unclaimed.add(ticket.task.id)
            self._take(flight)
            if ticket.end is not None:
                self._ledger.move(story, TaskState.PLACED)
                self._ledger.move(story, TaskState.RUNNING)
                self._hear_end(flight, ticket.end)
            else:
                self._begin(self._drop_unless_claimed(flight))

    async def _drop_unless_claimed(self, flight: Flight) -> None:
        await asyncio.sleep(self._options.claim_s)
        if flight.story.task.id in self._unclaimed and not flight.story.ended:
            log.warning("farm.nomad.unclaimed", task=flight.story.task.id)
            await self.cancel(flight.story.task.id)

    def _why_in_line(self, task: SegmentTask) -> str:
        if not self._watch.connected:
            return self._watch.trouble or "the connection to Nomad is being made"
        busy, most = len(self._flights), self._options.max_running
        if busy >= most:
            return f"{busy} of {most} workers busy, {self._placer.ahead_of(task.id)} ahead of it"
        return self._placer.why(task)

    def _why_not_running(self, flight: Flight) -> str:
        if flight.trouble or not self._watch.connected:
            return flight.trouble or self._watch.trouble or "the connection to Nomad is being made"
        newest = flight.newest
        if newest is None:
            return "its job is with Nomad, which is choosing a node"
        return f"its worker is being started on {newest.get('NodeName') or 'its node'}"

    async def _nomad_log(self, flight: Flight | None) -> str:
        """What the worker said before it could speak to us."""
        newest = flight.newest if flight is not None else None
        if newest is None:
            return ""
        try:
            chunks = [chunk async for chunk in self._client.logs(newest["ID"], "avatar")]
        except SoundstageError as error:
            return f"(the log on the node cannot be read: {error.message})"
        return b"".join(chunks).decode("utf-8", errors="replace")

    def _open(self) -> None:
        if not self._opened:
            self._opened = True
            self._begin(self._watch.run())
            self._begin(self._count())
            self._begin(self._tidy())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("farm.nomad.fault", exc_info=error)
