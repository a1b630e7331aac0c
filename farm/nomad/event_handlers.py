"""Applies events of the cluster to in-flight tasks and to the lease table; called by the event stream."""

from __future__ import annotations

from typing import Any

from avatar.spec import Failed

from farm.failures import CANCELLED
from farm.nomad.event_stream import Listing, until_reachable
from farm.nomad.inflight import TERMINAL_ALLOCATION, InFlightTask
from farm.nomad.launching import Launcher
from farm.nomad.outcomes import LOST, STOPPED
from farm.nomad.state import SchedulerState
from farm.states import TaskState
from farm.tasks import SegmentTask
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger, metrics

MAX_LAUNCHES = 3
AWAY = frozenset({"down", "disconnected"})

log = get_logger(__name__)


class ClusterEventHandler:
    """Receives changes of the cluster; `on_batch_end` is called after each batch of them."""

    def __init__(self, state: SchedulerState, launcher: Launcher) -> None:
        self._state = state
        self._launcher = launcher
        self._outcomes = launcher.outcomes
        self._away = set[str]()
        """Nodes that Nomad does not reach."""

    def on_listing(self, listing: Listing) -> None:
        """Replaces all that is known: what is not in the list is gone."""
        state = self._state
        self._away = {str(node["ID"]) for node in listing.nodes if node.get("Status") in AWAY}
        state.placer.sync(listing.nodes, listing.allocations, state.inflight_tasks.tasks())
        of_job: dict[str, list[dict[str, Any]]] = {}
        for allocation in sorted(listing.allocations, key=lambda one: int(one["CreateIndex"])):
            of_job.setdefault(str(allocation["JobID"]), []).append(allocation)
        jobs = {job["ID"]: job for job in listing.jobs}
        for inflight in state.inflight_tasks:
            if (
                not inflight.registered
                or inflight.registering
                or inflight.registered_s >= listing.requested_s
            ):
                continue
            for allocation in of_job.get(inflight.job_id, ()):
                self.allocation_changed(allocation)
            if inflight.job_id in jobs:
                self._job_seen(inflight, jobs[inflight.job_id])
            else:
                self._job_gone(inflight)
        self.on_batch_end()

    def node_changed(self, node: dict[str, Any]) -> bool:
        """Returns True when everything has to be listed again."""
        node_id = str(node["ID"])
        if node.get("Status") not in AWAY:
            self._away.discard(node_id)
        elif node_id not in self._away:
            self._away.add(node_id)
            for inflight in [*self._state.inflight_tasks]:
                for allocation in [*inflight.allocations.values()]:
                    if allocation.get("NodeID") == node_id:
                        self.allocation_changed(allocation)
        return self._state.placer.node_changed(node)

    def node_gone(self, node_id: str) -> None:
        self._state.placer.node_gone(node_id)

    def allocation_changed(self, allocation: dict[str, Any]) -> None:
        state = self._state
        inflight = state.inflight_tasks.of_job(str(allocation["JobID"]))
        if inflight is None:
            state.placer.allocation_changed(allocation, None)
            return
        if allocation.get("DesiredStatus") == "stop" and allocation.get("NodeID") in self._away:
            # Nomad calls it running until its node is back, which may be never.
            allocation = {**allocation, "ClientStatus": "lost"}
        before = inflight.allocations.get(allocation["ID"], {})
        if not inflight.update(allocation):
            return
        self._count_move(inflight, before, allocation)
        task = inflight.record.task
        if inflight.record.state is TaskState.QUEUED:
            state.registry.move(inflight.record, TaskState.PLACED)
            inflight.registered = True
            state.background.start(self._limit_token(task))
        latest = inflight.latest_allocation
        if latest is not None and latest["ID"] == allocation["ID"]:
            state.placer.allocation_changed(latest, task)
            self._look_at_end(inflight, latest)

    async def _limit_token(self, task: SegmentTask) -> None:
        lifetime_s = task.time_limit_s + self._state.options.upload_timeout_s
        await until_reachable(lambda: self._state.transfer.limit(task.id, lifetime_s), lambda message: None)

    def _count_move(self, inflight: InFlightTask, before: dict[str, Any], allocation: dict[str, Any]) -> None:
        """Counts allocations that Nomad stops and we have not, to place the task anew."""
        ours = inflight.cancelling or inflight.stopped or allocation["ID"] in inflight.evicted
        if ours or inflight.record.ended or before.get("DesiredStatus") != "run":
            return
        if allocation.get("DesiredStatus") != "run":
            metrics.TASKS_MOVED.inc("lost" if allocation["ClientStatus"] == "lost" else "drained")

    def job_changed(self, kind: str, job: dict[str, Any]) -> None:
        inflight = self._state.inflight_tasks.of_job(str(job["ID"]))
        if inflight is None:
            return
        if kind == "JobDeregistered":
            # The event looks the same for a job that was stopped and for one that was purged.
            self._state.background.start(self._look_at_job(inflight))
        else:
            self._job_seen(inflight, job)

    def on_batch_end(self) -> None:
        """Evicts work from cards that are gone, which Nomad would leave where it is, and releases queued
        tasks that have room now.
        """
        for task_id in self._state.placer.find_stranded(self._state.inflight_tasks.tasks()):
            inflight = self._state.inflight_tasks.find(task_id)
            latest = inflight.latest_allocation if inflight is not None else None
            if inflight is not None and latest is not None and latest["ID"] not in inflight.evicted:
                log.warning("farm.nomad.card_gone", task=task_id, node=latest.get("NodeName"))
                inflight.evicted.add(latest["ID"])
                metrics.TASKS_MOVED.inc("card")
                self._state.background.start(self._evict(latest["ID"]))
        self._launcher.launch_ready()

    async def _evict(self, allocation_id: str) -> None:
        try:
            await until_reachable(
                lambda: self._state.client.stop_allocation(allocation_id), lambda message: None
            )
        except SoundstageError as error:
            # It has ended already, or we may not stop it: then the work goes on as well as it can.
            log.warning("farm.nomad.evict_failed", allocation=allocation_id, error=str(error))

    async def _look_at_job(self, inflight: InFlightTask) -> None:
        try:
            job = await self._state.client.job(inflight.job_id)
        except SoundstageError as error:
            log.warning("farm.nomad.look_failed", job=inflight.job_id, error=str(error))
            return
        if job is None:
            self._job_gone(inflight)
        else:
            self._job_seen(inflight, job)

    def _look_at_end(self, inflight: InFlightTask, allocation: dict[str, Any]) -> None:
        if allocation["ClientStatus"] not in TERMINAL_ALLOCATION or inflight.record.ended:
            return
        if inflight.cancelling:
            if not inflight.running_somewhere:
                self._outcomes.end(inflight, CANCELLED)
        elif inflight.stopped:
            if not inflight.running_somewhere:
                self._outcomes.end(inflight, _why_stopped(inflight))
        elif allocation["ClientStatus"] == "lost" or allocation.get("DesiredStatus") != "run":
            # Nomad places it anew: its node is gone or drained, or the farm has taken its card away.
            log.warning("farm.nomad.moved", task=inflight.record.task.id, node=allocation.get("NodeName"))
        else:
            self._state.background.start(self._outcomes.end_without_report(inflight, allocation))

    def _job_seen(self, inflight: InFlightTask, job: dict[str, Any]) -> None:
        inflight.stopped = bool(job.get("Stop"))
        if inflight.stopped and not inflight.running_somewhere:
            self._outcomes.end(inflight, CANCELLED if inflight.cancelling else _why_stopped(inflight))

    def _job_gone(self, inflight: InFlightTask) -> None:
        """Launches again after a purge, or after the cluster has lost its state: the task is still due."""
        if not inflight.registered or inflight.registering or inflight.record.ended:
            return
        inflight.registered = inflight.inherited = False
        inflight.allocations.clear()
        if inflight.cancelling:
            self._outcomes.end(inflight, CANCELLED)
        elif inflight.launches >= MAX_LAUNCHES:
            self._outcomes.end(inflight, LOST)
        else:
            log.warning("farm.nomad.job_gone", task=inflight.record.task.id)
            self._state.background.start(self._launcher.launch(inflight), inflight.record.context)


def _why_stopped(inflight: InFlightTask) -> Failed:
    """Returns the failure of a task whose job was stopped: by an operator, or by the process before this one,
    when the work is still wanted.
    """
    return LOST if inflight.inherited else STOPPED
