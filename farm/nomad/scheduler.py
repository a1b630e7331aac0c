"""The scheduler for more than one machine: one Nomad batch job per task, registered when it can run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import suppress

from farm.failures import CANCELLED
from farm.needs import Needs
from farm.nomad.census import Eligible
from farm.nomad.client import NomadClient
from farm.nomad.explaining import nomad_log, sentence_on
from farm.nomad.flight import Flight
from farm.nomad.launching import Launcher
from farm.nomad.news import ClusterNews
from farm.nomad.placer import Placer
from farm.nomad.registration import NomadOptions, Registration
from farm.nomad.request import Choice
from farm.nomad.tower import Tower
from farm.nomad.watching import ClusterWatch
from farm.outlook import Outlook
from farm.states import TaskState
from farm.tasks import Placement, SegmentTask, TaskEvent
from farm.transfer import TransferService
from soundstage.blobs import BlobStore
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

log = get_logger(__name__)


class NomadScheduler:
    """See `farm.scheduler.Scheduler`. Tasks that an earlier process has left on the cluster are taken over:
    the same id submitted again goes on where it was.
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
        """`expected_s` tells how long a task will probably run."""
        job = options.job
        placer = Placer(Eligible(job.driver, job.node_pool, job.datacenters), expected_s)
        registration = Registration(client, blobs, transfer, options)
        self._tower = Tower(client, transfer, registration, placer, options)
        self._launcher = Launcher(self._tower)
        self._watch = ClusterWatch(client, job.prefix, ClusterNews(self._tower, self._launcher))
        self._taken_over = False
        self._opened = False

    async def start(self) -> None:
        """Only the one process that drives may start it: it takes over what others have left."""
        if not self._taken_over:
            self._taken_over = True
            await self._take_over()
        self._open()

    async def submit(self, task: SegmentTask) -> Placement:
        self._open()
        tower = self._tower
        story = tower.ledger.find(task.id)
        if story is None:
            story = tower.ledger.begin(task)
            tower.placer.push(task)
            self._launcher.release()
        elif task.id in tower.unclaimed:
            tower.unclaimed.discard(task.id)
            if story.ended:
                await tower.transfer.close(task.id)
        ahead = tower.placer.ahead_of(task.id) if task.id in tower.placer else 0
        return Placement(task.id, self.name, story.state, ahead)

    def watch(self, task_id: str) -> AsyncIterator[TaskEvent]:
        return self._tower.ledger.watch(task_id)

    async def cancel(self, task_id: str, *, for_good: bool = False) -> None:
        tower = self._tower
        story, flight = tower.ledger.story(task_id), tower.flights.find(task_id)
        if tower.placer.remove(task_id):
            tower.ledger.end(story, TaskState.CANCELLED, failure=CANCELLED)
        elif flight is not None and tower.leaving and not for_good:
            self._launcher.outcomes.leave(flight, CANCELLED)
        elif flight is not None:
            # Before Nomad hears of it: the reply to the worker's last word says what it may forget.
            tower.transfer.unwanted(task_id, for_good=for_good)
            if not flight.cancelling:
                flight.cancelling = True
                tower.errands.begin(self._launcher.stop(flight))

    async def forget(self, unfinished: Collection[str]) -> None:
        """On the nodes that still work on it; on others it goes by its age."""
        wanted = {work for work in unfinished if work}
        for flight in [*self._tower.flights]:
            if flight.story.task.unfinished in wanted and not flight.story.ended:
                await self.cancel(flight.story.task.id, for_good=True)

    async def logs(self, task_id: str) -> str:
        story = self._tower.ledger.story(task_id)
        return story.tail.text() or await nomad_log(self._tower.client, self._tower.flights.find(task_id))

    async def explain(self, task_id: str) -> str:
        return sentence_on(self._tower.ledger.story(task_id), self._tower, self._watch)

    async def outlook(self, needs: Needs, owner: str) -> Outlook:
        tower = self._tower
        places, waiting = tower.placer.outlook(needs, owner, tower.options.max_running)
        return Outlook(places, tuple(tower.ledger.story(task_id).task for task_id in waiting))

    def left_over(self, task_id: str) -> bool:
        story = self._tower.ledger.find(task_id)
        useful = story is not None and (not story.ended or story.state is TaskState.DONE)
        return useful and task_id in self._tower.unclaimed

    def leave(self) -> None:
        self._tower.leaving = True

    async def close(self) -> None:
        tower = self._tower
        flights = [*tower.flights]
        for story in tower.ledger:
            if not story.ended:
                await self.cancel(story.task.id)
        if flights:
            await asyncio.wait([asyncio.ensure_future(flight.settled.wait()) for flight in flights])
        await tower.errands.call_off()
        await tower.client.close()

    async def _take_over(self) -> None:
        tower, outcomes = self._tower, self._launcher.outcomes
        for ticket in await tower.transfer.open_tickets():
            story = tower.ledger.begin(ticket.task)
            flight = Flight(story, ticket.job_id, Choice(), registered=True)
            tower.unclaimed.add(ticket.task.id)
            self._launcher.take(flight)
            if ticket.end is not None:
                tower.ledger.move(story, TaskState.PLACED)
                tower.ledger.move(story, TaskState.RUNNING)
                outcomes.hear_end(flight, ticket.end)
            else:
                tower.errands.begin(self._drop_unless_claimed(flight))

    async def _drop_unless_claimed(self, flight: Flight) -> None:
        await asyncio.sleep(self._tower.options.claim_s)
        task_id = flight.story.task.id
        if task_id in self._tower.unclaimed and not flight.story.ended:
            log.warning("farm.nomad.unclaimed", task=task_id)
            await self.cancel(task_id)

    def _open(self) -> None:
        if not self._opened:
            self._opened = True
            for errand in (self._watch.run(), self._look_at_the_line(), self._tidy()):
                self._tower.errands.begin(errand)

    async def _look_at_the_line(self) -> None:
        """What the passing of time alone changes: nodes are forgiven, and cards held for who waits long."""
        while True:
            await asyncio.sleep(self._tower.options.look_s)
            self._tower.placer.forget_old()
            self._launcher.release()

    async def _tidy(self) -> None:
        while True:
            with suppress(SoundstageError):
                await self._tower.registration.purge_ended(self._tower.flights)
            await asyncio.sleep(min(600.0, self._tower.options.keep_s))
