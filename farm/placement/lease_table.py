"""Keeps leases (which task runs on which card) and reservations (cards for one waiting request), and finds
where a request fits best. Called by the queue, `explain` and the Nomad adapter; no clock and no I/O.

Usage is added up from leases only. A card that is gone or faulty keeps the leases on it until they are
released, because Nomad lets a task run on when its card fails.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace

from farm.placement.capacity_index import CapacityIndex
from farm.placement.cards import SHARE_MIB, Node, Request
from farm.placement.choosing import Chooser
from farm.placement.leases import Assignment, Lease
from farm.placement.node_usage import MACHINE, CardKey, NodeUsage
from soundstage.errors import Conflict

MAX_FREED_NODES = 64
"""The number of nodes with newly free capacity that are remembered; a request that was refused before them
tries all nodes again.
"""


@dataclass(frozen=True, slots=True)
class CardUsage:
    """The memory of a card, and what leases hold of it: more than there is where a card has shrunk."""

    node: str
    uuid: str
    memory_mib: int
    held_mib: int


class LeaseTable:
    """Nodes, leases and reservations. The id of a lease is that of its request."""

    def __init__(self, nodes: Iterable[Node] = (), leases: Iterable[Lease] = ()) -> None:
        self._usages: dict[str, NodeUsage] = {}
        self._leases: dict[str, Lease] = {}
        self._leases_on: dict[str, dict[str, None]] = {}
        self._reservations: dict[CardKey, str] = {}
        self._capacity = CapacityIndex(self._reservations)
        self._chooser = Chooser(self._usages, self._reservations, self._capacity)
        self.capacity_version = 0
        """Grows whenever capacity may have become free, so that a refused request knows when to try again."""
        self._freed_nodes: deque[str] = deque(maxlen=MAX_FREED_NODES)
        for node in nodes:
            self.upsert_node(node)
        for lease in leases:
            self.restore(lease)

    # What is there

    @property
    def nodes(self) -> list[Node]:
        return [usage.node for usage in self._usages.values()]

    @property
    def leases(self) -> list[Lease]:
        return list(self._leases.values())

    def usage(self, node_id: str) -> NodeUsage | None:
        return self._usages.get(node_id)

    def usages(self) -> Iterable[NodeUsage]:
        return self._usages.values()

    def card_usage(self) -> Iterator[CardUsage]:
        """Yields each card with what leases hold of it."""
        for usage in self._usages.values():
            for card in usage.node.cards:
                taken = usage.taken.get(card.uuid, 0)
                each_mib = SHARE_MIB if usage.node.shared else card.memory_mib
                yield CardUsage(usage.node.name, card.uuid, card.memory_mib, taken * each_mib)

    def leases_on(self, node_id: str) -> list[Lease]:
        return [self._leases[lease_id] for lease_id in self._leases_on.get(node_id, ())]

    @property
    def reservations(self) -> dict[CardKey, str]:
        """Cards that are reserved for a request that has waited long, by key: no other request gets them."""
        return dict(self._reservations)

    def find_reservation(self, node_id: str, uuid: str = MACHINE) -> str | None:
        """Returns the request for which a card, or the machine itself, is reserved."""
        return self._reservations.get((node_id, uuid))

    # Nodes and reservations

    def upsert_node(self, node: Node) -> None:
        """Adds or updates a node: cards, health, drained. Leases stay as they are."""
        old = self._usages.get(node.id)
        if old is not None:
            if old.node == node:
                return
            self._capacity.remove(old)
        usage = NodeUsage(node, cards={card.uuid: card for card in node.cards})
        self._capacity.add_kinds(node)
        self._usages[node.id] = usage
        for lease in self.leases_on(node.id):
            usage.count(lease, 1)
        self._capacity.put(usage)
        self._note_freed(node.id)

    def remove_node(self, node_id: str) -> None:
        """Removes a lost node with its leases."""
        usage = self._usages.pop(node_id, None)
        if usage is not None:
            self._capacity.remove(usage)
        for lease_id in self._leases_on.pop(node_id, ()):
            del self._leases[lease_id]
        for key in [key for key in self._reservations if key[0] == node_id]:
            del self._reservations[key]

    def reserve(self, request_id: str, keys: Iterable[CardKey]) -> None:
        """Reserves cards for one request; a card that is reserved for another one stays so."""
        for key in keys:
            self._reservations.setdefault(key, request_id)
            self._reindex(key[0])

    def release_reservations(self, request_id: str) -> None:
        for key in [key for key, holder in self._reservations.items() if holder == request_id]:
            del self._reservations[key]
            self._reindex(key[0])
            self._note_freed(key[0])

    def nodes_freed_since(self, version: int) -> set[str] | None:
        """Returns nodes where capacity may have become free since this `capacity_version`; None when that is
        too long ago.
        """
        new = self.capacity_version - version
        if not 0 <= new <= len(self._freed_nodes):
            return None
        return {self._freed_nodes[-number] for number in range(1, new + 1)}

    # Leases

    def find(
        self, request: Request, avoid: Container[str] = (), *, among: Iterable[str] | None = None
    ) -> Assignment | None:
        """Returns the tightest fit now, not on a node in `avoid`; changes nothing. `among` are
        nodes to look at when all others are known not to fit.
        """
        return self._chooser.find(request, avoid, among=among)

    def grant(
        self,
        request: Request,
        avoid: Container[str] = (),
        *,
        among: Iterable[str] | None = None,
        now_s: float = 0.0,
    ) -> Lease | None:
        """Returns a lease on the best place, or None when there is none now. An id that has a lease keeps
        it.
        """
        existing = self._leases.get(request.id)
        if existing is not None:
            return existing
        assignment = self.find(request, avoid, among=among)
        if assignment is None:
            return None
        needs = request.needs
        lease = Lease(
            id=request.id,
            owner=request.owner,
            engine=needs.engine,
            assignment=assignment,
            cpu_mhz=needs.cpu_mhz,
            memory_mib=needs.memory_mib,
            peak_mib=needs.vram_mib,
            expected_end_s=None if request.expected_s is None else now_s + request.expected_s,
        )
        self._insert(lease)
        self.release_reservations(request.id)
        return lease

    def restore(self, lease: Lease) -> None:
        """Adds a lease of a task that runs in the cluster already: at a restart, or where Nomad chose another
        card. Raises Conflict `placement.lease_exists`.
        """
        if lease.id in self._leases:
            raise Conflict(
                "placement.lease_exists",
                f"There is a lease for {lease.id} already.",
                "Release it first, or use `reconcile`.",
            )
        self._insert(lease)

    def _insert(self, lease: Lease) -> None:
        self._leases[lease.id] = lease
        self._leases_on.setdefault(lease.assignment.node_id, {})[lease.id] = None
        self._charge(lease, 1)

    def release(self, lease_id: str) -> Lease | None:
        """Removes a lease and returns it; None when there is no such lease: a second release does no harm."""
        lease = self._leases.pop(lease_id, None)
        if lease is None:
            return None
        here = self._leases_on[lease.assignment.node_id]
        del here[lease_id]
        if not here:
            del self._leases_on[lease.assignment.node_id]
        self._charge(lease, -1)
        self._note_freed(lease.assignment.node_id)
        return lease

    def set_expected_end(self, lease_id: str, end_s: float) -> None:
        """Sets when it will probably end, as its progress says. Nothing happens when the lease is gone."""
        lease = self._leases.get(lease_id)
        if lease is not None:
            self._leases[lease_id] = replace(lease, expected_end_s=end_s)

    def find_stranded(self) -> list[Lease]:
        """Returns leases on cards that are faulty or gone, or on unknown nodes: these have to be moved."""
        return [lease for lease in self._leases.values() if not self._is_valid(lease)]

    def update(self, lease: Lease) -> None:
        """Stores where a lease runs, by what the cluster says."""
        existing = self._leases.get(lease.id)
        if existing is None:
            self.restore(lease)
        elif existing.assignment != lease.assignment:
            self.release(lease.id)
            # The cluster knows the card; the owner and the expected end are known only here.
            self.restore(replace(existing, assignment=lease.assignment))

    def reconcile(self, running: Iterable[Lease], *, pending: Container[str] = ()) -> None:
        """Replaces the leases by what the cluster runs. `pending` are ids that the cluster knows and has not
        placed yet: their leases stay.
        """
        seen: set[str] = set()
        for lease in running:
            seen.add(lease.id)
            self.update(lease)
        for lease_id in [one for one in self._leases if one not in seen and one not in pending]:
            self.release(lease_id)

    def subset(self, node_ids: Iterable[str]) -> LeaseTable:
        """Returns a copy of some nodes with their leases and reservations, to try a change on."""
        chosen = [node_id for node_id in node_ids if node_id in self._usages]
        copy = LeaseTable(
            (self._usages[node_id].node for node_id in chosen),
            (lease for node_id in chosen for lease in self.leases_on(node_id)),
        )
        for key, holder in self._reservations.items():
            if key[0] in copy._usages:
                copy.reserve(holder, [key])
        return copy

    # Counting

    def _is_valid(self, lease: Lease) -> bool:
        usage = self._usages.get(lease.assignment.node_id)
        if usage is None:
            return False
        return all(uuid in usage.cards and not usage.cards[uuid].fault for uuid in lease.assignment.cards)

    def _charge(self, lease: Lease, sign: int) -> None:
        usage = self._usages.get(lease.assignment.node_id)
        if usage is None:
            return
        usage.count(lease, sign)
        self._capacity.put_machine(usage)
        self._capacity.put_cards(usage, lease.assignment.cards)

    def _note_freed(self, node_id: str) -> None:
        self.capacity_version += 1
        self._freed_nodes.append(node_id)

    def _reindex(self, node_id: str) -> None:
        usage = self._usages.get(node_id)
        if usage is not None:
            self._capacity.put(usage)
