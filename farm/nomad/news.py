"""What the cluster tells, and what follows from it for our tasks and for the book; called by the watch."""

from __future__ import annotations

from typing import Any

from farm.failures import CANCELLED
from farm.nomad.flight import TERMINAL_ALLOCATION, Flight
from farm.nomad.launching import Launcher
from farm.nomad.tower import Tower
from farm.nomad.verdict import LOST, STOPPED
from farm.nomad.watching import Listing, until_reachable
from farm.states import TaskState
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

MAX_LAUNCHES = 3

log = get_logger(__name__)


class ClusterNews:
    """See `farm.nomad.watching.Follower`."""

    def __init__(self, tower: Tower, launcher: Launcher) -> None:
        self._tower = tower
        self._launcher = launcher
        self._outcomes = launcher.outcomes

    def listed(self, listing: Listing) -> None:
        tower = self._tower
        tower.placer.learn(listing.nodes, listing.allocations, tower.flights.tasks())
        of_job: dict[str, list[dict[str, Any]]] = {}
        for allocation in sorted(listing.allocations, key=lambda one: int(one["CreateIndex"])):
            of_job.setdefault(str(allocation["JobID"]), []).append(allocation)
        jobs = {job["ID"]: job for job in listing.jobs}
        for flight in tower.flights:
            if not flight.registered or flight.registering or flight.registered_s >= listing.asked_s:
                continue
            for allocation in of_job.get(flight.job_id, ()):
                self.allocation_changed(allocation)
            if flight.job_id in jobs:
                self._job_seen(flight, jobs[flight.job_id])
            else:
                self._job_gone(flight)
        self.caught_up()

    def node_changed(self, node: dict[str, Any]) -> bool:
        return self._tower.placer.node_changed(node)

    def node_gone(self, node_id: str) -> None:
        self._tower.placer.node_gone(node_id)

    def allocation_changed(self, allocation: dict[str, Any]) -> None:
        tower = self._tower
        flight = tower.flights.of_job(str(allocation["JobID"]))
        if flight is None:
            tower.placer.allocation_changed(allocation, None)
            return
        if not flight.take(allocation):
            return
        task = flight.story.task
        if flight.story.state is TaskState.QUEUED:
            tower.ledger.move(flight.story, TaskState.PLACED)
            flight.registered = True
            limits = task.time_limit_s + tower.options.patience_s
            tower.errands.begin(tower.transfer.limit(task.id, limits))
        newest = flight.newest
        if newest is not None and newest["ID"] == allocation["ID"]:
            tower.placer.allocation_changed(newest, task)
            self._look_at_end(flight, newest)

    def job_changed(self, kind: str, job: dict[str, Any]) -> None:
        flight = self._tower.flights.of_job(str(job["ID"]))
        if flight is None:
            return
        if kind == "JobDeregistered":
            # The event looks the same for a job that was stopped and for one that was purged.
            self._tower.errands.begin(self._look_at_job(flight))
        else:
            self._job_seen(flight, job)

    def caught_up(self) -> None:
        """After a list or a batch of events: work is taken off cards that are gone, which Nomad would leave
        where it is, and what has room now is let go.
        """
        for task_id in self._tower.placer.stranded(self._tower.flights.tasks()):
            flight = self._tower.flights.find(task_id)
            newest = flight.newest if flight is not None else None
            if flight is not None and newest is not None and newest["ID"] not in flight.evicted:
                log.warning("farm.nomad.card_gone", task=task_id, node=newest.get("NodeName"))
                flight.evicted.add(newest["ID"])
                self._tower.errands.begin(self._evict(newest["ID"]))
        self._launcher.release()

    async def _evict(self, allocation_id: str) -> None:
        try:
            await until_reachable(
                lambda: self._tower.client.stop_allocation(allocation_id), lambda said: None
            )
        except SoundstageError as error:
            # It has ended meanwhile, or we may not stop it: then the work goes on as well as it can.
            log.warning("farm.nomad.evict_failed", allocation=allocation_id, error=str(error))

    async def _look_at_job(self, flight: Flight) -> None:
        try:
            job = await self._tower.client.job(flight.job_id)
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
                self._outcomes.end(flight, CANCELLED)
        elif flight.stopped:
            if not flight.running_somewhere:
                self._outcomes.end(flight, STOPPED)
        elif allocation["ClientStatus"] == "lost" or allocation.get("DesiredStatus") != "run":
            # Nomad places it anew: its node is gone or drained, or the farm has taken its card away.
            log.warning("farm.nomad.moved", task=flight.story.task.id, node=allocation.get("NodeName"))
        else:
            self._tower.errands.begin(self._outcomes.end_without_word(flight, allocation))

    def _job_seen(self, flight: Flight, job: dict[str, Any]) -> None:
        flight.stopped = bool(job.get("Stop"))
        if flight.stopped and not flight.running_somewhere:
            self._outcomes.end(flight, CANCELLED if flight.cancelling else STOPPED)

    def _job_gone(self, flight: Flight) -> None:
        """Purged by somebody, or the cluster has lost its memory: the work is still wanted."""
        if not flight.registered or flight.registering or flight.story.ended:
            return
        flight.registered = False
        flight.allocations.clear()
        if flight.cancelling:
            self._outcomes.end(flight, CANCELLED)
        elif flight.launches >= MAX_LAUNCHES:
            self._outcomes.end(flight, LOST)
        else:
            log.warning("farm.nomad.job_gone", task=flight.story.task.id)
            self._tower.errands.begin(self._launcher.launch(flight))
