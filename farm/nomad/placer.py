"""Decides which tasks are registered with Nomad now and which card they ask for, by the queue and the lease
table, which follow the events of Nomad. Used by the scheduler.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from farm.failures import CARD_LOST, CRASHED, DISK_FULL
from farm.needs import Needs
from farm.nomad.inventory import COMPUTE, Eligible, lease_of, lives, nodes_of
from farm.nomad.request import PlacementHint
from farm.placement import BlockList, CardUse, Constraint, FairQueue, Lease, LeaseTable, Peaks, Request
from farm.placement.cards import Node
from farm.placement.deadline import places_for
from farm.placement.explain import explain
from farm.scheduler import MAX_PLACES
from farm.tasks import SegmentTask

NODE_FAULTS = DISK_FULL | CARD_LOST | {
    CRASHED, "worker.killed", "worker.lost", "worker.not_started", "worker.files",
}  # fmt: skip
"""Failures that may be the node's: after some of them an engine stays away from it for a while."""


class Placer:
    """`queue` has the tasks without a lease, `table` the nodes and leases. `synced` is False until Nomad has
    listed its nodes for the first time.
    """

    def __init__(self, eligible: Eligible, expected_s: Callable[[SegmentTask], float | None]) -> None:
        self._eligible = eligible
        self._expected_s = expected_s
        self.queue = FairQueue()
        self.table = LeaseTable()
        self._blocks = BlockList()
        self._peaks = Peaks()
        self.synced = False

    def push(self, task: SegmentTask) -> None:
        """Queues a task; tasks of one trace take turns with those of others."""
        self.queue.push(self._request(task), time.time(), task.priority)

    def set_priority(self, task_ids: Collection[str], priority: int) -> None:
        self.queue.set_priority(task_ids, priority)

    def admit(self, limit: int) -> list[tuple[str, PlacementHint]]:
        """Returns ids of at most `limit` tasks that can run now, each with what its job should ask for."""
        now_s = time.time()
        leases = self.queue.admit(
            self.table, now_s, lambda engine: self._blocks.nodes(engine, now_s), max(0, limit)
        )
        return [(lease.id, self._choice(lease, now_s)) for lease in leases]

    def record_failure(self, node_id: str, engine: str, code: str) -> None:
        if code in NODE_FAULTS:
            self._blocks.record_failure(node_id, engine, time.time(), certain=code in DISK_FULL | CARD_LOST)

    def record_success(self, node_id: str, engine: str, peak_vram_mib: int | None) -> None:
        self._blocks.record_success(node_id, engine)
        if peak_vram_mib is not None:
            self._peaks.record_peak(engine, peak_vram_mib)

    def record_out_of_memory(self, engine: str, grant_mib: int) -> None:
        """Records that an engine ran out of its grant of GPU memory."""
        self._peaks.record_out_of_memory(engine, grant_mib)

    def sync(
        self,
        nodes: Iterable[Mapping[str, Any]],
        allocations: Iterable[Mapping[str, Any]],
        ours: Mapping[str, SegmentTask],
    ) -> None:
        """Replaces nodes and leases by what Nomad lists. `ours` are our in-flight tasks by the ids of their
        jobs.
        """
        known = {node.id: node for node in nodes_of(nodes, self._eligible)}
        for node in self.table.nodes:
            if node.id not in known:
                self.table.remove_node(node.id)
        for node in known.values():
            self._update(node)
        running = [self._lease(one, ours.get(str(one["JobID"]))) for one in allocations if lives(one)]
        # The same task twice: the older allocation is on its way out.
        self.table.reconcile(
            {lease.id: lease for lease in running}.values(), pending={task.id for task in ours.values()}
        )
        self.synced = True

    def node_changed(self, node: Mapping[str, Any]) -> bool:
        """Returns True for a node that is new here, so that its allocations are not known."""
        found = nodes_of([node], self._eligible)
        if not found:
            self.node_gone(str(node["ID"]))
            return False
        return self._update(found[0])

    def _update(self, node: Node) -> bool:
        """Returns True for a node that is new here. One that is let work again has no failures any more."""
        before = self.table.usage(node.id)
        if before is not None and before.node.drained and not node.drained:
            self._blocks.clear_node(node.id)
        self.table.upsert_node(node)
        return before is None

    def node_gone(self, node_id: str) -> None:
        """Drops a node that is gone, down, or not fit for our jobs any more."""
        if self.table.usage(node_id) is not None:
            self.table.remove_node(node_id)

    def allocation_changed(self, allocation: Mapping[str, Any], task: SegmentTask | None) -> None:
        """Updates the lease of an allocation. `task` is what it runs for us, None for one of others. Ours is
        released once the task has ended, not when its allocation ends, because another one may follow.
        """
        if lives(allocation):
            self.table.update(self._lease(allocation, task))
        elif task is None:
            self.table.release(str(allocation["ID"]))

    def find_stranded(self, ours: Mapping[str, SegmentTask]) -> list[str]:
        """Returns ids of our tasks whose card is gone or faulty: Nomad leaves them where they are."""
        mine = {task.id for task in ours.values()}
        found = []
        for lease in self.table.find_stranded():
            usage = self.table.usage(lease.assignment.node_id)
            # Where the node itself is gone, Nomad does move the work.
            if lease.id in mine and usage is not None:
                found.append(lease.id)
        return found

    def forget_old(self) -> None:
        """Drops failures that do not matter any more."""
        self._blocks.forget_old(time.time())

    def availability(
        self, needs: Needs, owner: str, maximum: int
    ) -> tuple[tuple[float, ...], tuple[str, ...]]:
        """Returns from when on places for such a task are free, at most `maximum`, and the ids of queued
        tasks of others. What runs for `owner` counts as ended.
        """
        now_s = time.time()
        table = self.table.subset([node.id for node in self.table.nodes])
        for lease in table.leases:
            if lease.owner == owner:
                table.release(lease.id)
        avoid = self._blocks.nodes(needs.engine, now_s)
        places = places_for(table, Request("asked", owner, needs), now_s, avoid, min(maximum, MAX_PLACES))
        return tuple(places), tuple(one.id for one in self.queue.in_order() if one.owner != owner)

    def why(self, task: SegmentTask) -> str:
        """Returns why it waits, in one sentence, and the one change that would place it."""
        if not self.synced:
            return "the nodes of the farm are not known yet"
        found = explain(self._request(task), self.table, self._blocks, time.time())
        return f"{found.sentence}. To place it: {found.advice}." if found.advice else found.sentence

    def _request(self, task: SegmentTask) -> Request:
        needs = task.needs
        if needs.gpus == 1:
            needs = replace(needs, vram_mib=self._peaks.need_mib(needs.engine, needs.vram_mib))
        return Request(
            task.id,
            _owner(task),
            needs,
            CardUse.EITHER,
            constraints=self._constraints(needs),
            expected_s=self._expected_s(task),
        )

    def _constraints(self, needs: Needs) -> tuple[Constraint, ...]:
        """Returns a constraint only where cards of this farm report their compute capability: else none would
        fit.
        """
        if not (needs.gpus and needs.compute and self._reports_compute()):
            return ()
        return (Constraint(COMPUTE, ">=", needs.compute),)

    def _reports_compute(self) -> bool:
        return any(COMPUTE in dict(card.attributes) for node in self.table.nodes for card in node.cards)

    def _lease(self, allocation: Mapping[str, Any], task: SegmentTask | None) -> Lease:
        if task is None:
            return lease_of(allocation, str(allocation["ID"]))
        return lease_of(allocation, task.id, owner=_owner(task), engine=task.needs.engine)

    def _choice(self, lease: Lease, now_s: float) -> PlacementHint:
        return PlacementHint(
            mode="shared" if lease.assignment.shares else "whole",
            node=lease.assignment.node_id,
            card=lease.assignment.cards[0] if lease.assignment.cards else "",
            vram_mib=lease.peak_mib,
            avoid_nodes=self._blocks.nodes(lease.engine, now_s),
            compute_reported=self._reports_compute(),
        )


def _owner(task: SegmentTask) -> str:
    return task.trace_id or task.id
