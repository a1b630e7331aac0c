"""Decides what may be given to Nomad now and which card it should ask for: the waiting line and the book of
leases, kept true by what Nomad says. Used by the scheduler.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from farm.failures import CARD_LOST, CRASHED, DISK_FULL
from farm.needs import Needs
from farm.nomad.census import COMPUTE, Eligible, lease_of, lives, nodes_of
from farm.nomad.request import Choice
from farm.outlook import MOST_PLACES
from farm.placement import BlockList, Book, CardUse, Constraint, Lease, Peaks, Request, WaitingLine
from farm.placement.deadline import places_for
from farm.placement.explain import FarmState, explain
from farm.tasks import SegmentTask

NODE_FAULTS = DISK_FULL | CARD_LOST | {
    CRASHED, "worker.killed", "worker.lost", "worker.not_started", "worker.files",
}  # fmt: skip
"""Failures that may be the node's: after some of them an engine stays away from it for a while."""


class Placer:
    """`seen` is False until Nomad has told of its nodes for the first time."""

    def __init__(self, eligible: Eligible, expected_s: Callable[[SegmentTask], float | None]) -> None:
        self._eligible = eligible
        self._expected_s = expected_s
        self._line = WaitingLine()
        self._book = Book()
        self._blocks = BlockList()
        self._peaks = Peaks()
        self.seen = False

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._line

    def ahead_of(self, task_id: str) -> int:
        return self._line.ahead_of(task_id)

    def push(self, task: SegmentTask) -> None:
        """Tasks of one trace take turns with those of others."""
        self._line.push(self._request(task), time.time(), task.priority)

    def remove(self, task_id: str) -> bool:
        return self._line.remove(task_id, self._book)

    def admit(self, limit: int) -> list[tuple[str, Choice]]:
        """Ids of at most `limit` tasks that can run now, each with what its job should ask for."""
        now_s = time.time()
        leases = self._line.admit(
            self._book, now_s, lambda engine: self._blocks.nodes(engine, now_s), max(0, limit)
        )
        return [(lease.id, self._choice(lease, now_s)) for lease in leases]

    def release(self, task_id: str) -> None:
        self._book.release(task_id)

    def failed(self, node_id: str, engine: str, code: str) -> None:
        if code in NODE_FAULTS:
            self._blocks.failed(node_id, engine, time.time(), surely=code in DISK_FULL | CARD_LOST)

    def succeeded(self, node_id: str, engine: str, peak_vram_mib: int | None) -> None:
        self._blocks.succeeded(node_id, engine)
        if peak_vram_mib is not None:
            self._peaks.measured(engine, peak_vram_mib)

    def overflowed(self, engine: str, grant_mib: int) -> None:
        """It wanted more GPU memory than it was given."""
        self._peaks.overflowed(engine, grant_mib)

    def learn(
        self,
        nodes: Iterable[Mapping[str, Any]],
        allocations: Iterable[Mapping[str, Any]],
        ours: Mapping[str, SegmentTask],
    ) -> None:
        """Takes what Nomad lists: all there is. `ours` are our tasks on the farm's side by the names of their
        jobs.
        """
        known = {node.id: node for node in nodes_of(nodes, self._eligible)}
        for node in self._book.nodes:
            if node.id not in known:
                self._book.drop_node(node.id)
        for node in known.values():
            self._book.put_node(node)
        running = [self._lease(one, ours.get(str(one["JobID"]))) for one in allocations if lives(one)]
        # The same task twice: the older allocation is on its way out.
        self._book.reconcile(
            {lease.id: lease for lease in running}.values(), pending={task.id for task in ours.values()}
        )
        self.seen = True

    def node_changed(self, node: Mapping[str, Any]) -> bool:
        """True for one that was not in the book: what runs there was not followed."""
        found = nodes_of([node], self._eligible)
        if not found:
            self.node_gone(str(node["ID"]))
            return False
        new = self._book.desk(found[0].id) is None
        self._book.put_node(found[0])
        return new

    def node_gone(self, node_id: str) -> None:
        """Gone, down, or not fit for our jobs any more."""
        if self._book.desk(node_id) is not None:
            self._book.drop_node(node_id)

    def allocation_changed(self, allocation: Mapping[str, Any], task: SegmentTask | None) -> None:
        """`task` is what it runs for us; None for a stranger's. What we hold is released when the task has
        settled, not when its allocation ends, because another one may follow.
        """
        if lives(allocation):
            self._book.follow(self._lease(allocation, task))
        elif task is None:
            self._book.release(str(allocation["ID"]))

    def stranded(self, ours: Mapping[str, SegmentTask]) -> list[str]:
        """Ids of our tasks whose card is gone or faulty: Nomad leaves them where they are."""
        mine = {task.id for task in ours.values()}
        found = []
        for lease in self._book.stranded():
            desk = self._book.desk(lease.spot.node_id)
            # Where the node itself is gone, Nomad does move the work.
            if lease.id in mine and desk is not None:
                found.append(lease.id)
        return found

    def forget_old(self) -> None:
        """Failures that do not matter any more."""
        self._blocks.forget_old(time.time())

    def expect(self, task_id: str, end_s: float) -> None:
        """When its worker says that it will be ready."""
        self._book.expect(task_id, end_s)

    def outlook(self, needs: Needs, owner: str, most: int) -> tuple[tuple[float, ...], tuple[str, ...]]:
        """From when on places for such a task are free, at most `most`, and the ids of those in line for
        others. What runs for `owner` counts as ended.
        """
        now_s = time.time()
        book = self._book.part([node.id for node in self._book.nodes])
        for lease in book.leases:
            if lease.owner == owner:
                book.release(lease.id)
        avoid = self._blocks.nodes(needs.engine, now_s)
        places = places_for(book, Request("asked", owner, needs), now_s, avoid, min(most, MOST_PLACES))
        return tuple(places), tuple(one.id for one in self._line.in_order() if one.owner != owner)

    def why(self, task: SegmentTask) -> str:
        """Why it waits, in one sentence, and the one change that would place it."""
        if not self.seen:
            return "the nodes of the farm are not known yet"
        found = explain(self._request(task), FarmState(self._book, self._blocks), time.time())
        return found.sentence + (f" To place it: {found.advice}." if found.advice else "")

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
        """Only where cards of this farm tell their compute capability: others would then fit nowhere."""
        if not (needs.gpus and needs.compute and self._tells_compute()):
            return ()
        return (Constraint(COMPUTE, ">=", needs.compute),)

    def _tells_compute(self) -> bool:
        return any(COMPUTE in dict(card.attributes) for node in self._book.nodes for card in node.cards)

    def _lease(self, allocation: Mapping[str, Any], task: SegmentTask | None) -> Lease:
        if task is None:
            return lease_of(allocation, str(allocation["ID"]))
        return lease_of(allocation, task.id, owner=_owner(task), engine=task.needs.engine)

    def _choice(self, lease: Lease, now_s: float) -> Choice:
        return Choice(
            mode="shared" if lease.spot.shares else "whole",
            node=lease.spot.node_id,
            card=lease.spot.cards[0] if lease.spot.cards else "",
            vram_mib=lease.peak_mib,
            avoid_nodes=self._blocks.nodes(lease.engine, now_s),
            compute_told=self._tells_compute(),
        )


def _owner(task: SegmentTask) -> str:
    return task.trace_id or task.id
