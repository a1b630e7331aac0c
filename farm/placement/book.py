"""The book of leases: who holds what of which card, and where a request fits best. Called by the waiting
line, `explain` and the Nomad adapter; pure bookkeeping, no clock and no I/O.

Usage is added up from leases only. A card that is gone or faulty keeps the leases on it until they are
released, because Nomad lets a task run on when its card fails.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

from farm.placement.cards import Node, Request
from farm.placement.choosing import Chooser
from farm.placement.desk import CardKey, Desk
from farm.placement.leases import Lease, Spot
from farm.placement.racks import Racks
from soundstage.errors import Conflict

KEPT_GAINS = 64
"""So many of the last nodes that gained room are remembered; who was refused before looks at all nodes
again.
"""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a look at the cluster changed in the book."""

    adopted: tuple[Lease, ...] = ()
    """Run there and were not here: after a restart, or by hand."""
    moved: tuple[Lease, ...] = ()
    """Run elsewhere than asked for; the book follows."""
    gone: tuple[Lease, ...] = ()
    """Were here and do not run there any more."""


class Book:
    """Nodes, leases and holds. Ids of leases are those of their requests."""

    def __init__(self, nodes: Iterable[Node] = (), leases: Iterable[Lease] = ()) -> None:
        self._desks: dict[str, Desk] = {}
        self._leases: dict[str, Lease] = {}
        self._leases_on: dict[str, dict[str, None]] = {}
        self._held: dict[CardKey, str] = {}
        self._racks = Racks(self._held)
        self._chooser = Chooser(self._desks, self._held, self._racks)
        self.gains = 0
        """Grows whenever room may have appeared, so that who was refused knows when to ask again."""
        self._gained: deque[str] = deque(maxlen=KEPT_GAINS)
        for node in nodes:
            self.put_node(node)
        for lease in leases:
            self.restore(lease)

    # What is there

    @property
    def nodes(self) -> list[Node]:
        return [desk.node for desk in self._desks.values()]

    @property
    def leases(self) -> list[Lease]:
        return list(self._leases.values())

    def lease(self, lease_id: str) -> Lease | None:
        return self._leases.get(lease_id)

    def desk(self, node_id: str) -> Desk | None:
        return self._desks.get(node_id)

    def desks(self) -> Iterable[Desk]:
        return self._desks.values()

    def leases_on(self, node_id: str) -> list[Lease]:
        return [self._leases[lease_id] for lease_id in self._leases_on.get(node_id, ())]

    @property
    def holds(self) -> dict[CardKey, str]:
        """Cards kept free for a request that has waited long: no other gets them."""
        return dict(self._held)

    def holder(self, node_id: str, uuid: str = "") -> str | None:
        """The request for which a card, or the machine itself, is kept free."""
        return self._held.get((node_id, uuid))

    # Nodes and holds

    def put_node(self, node: Node) -> None:
        """A new node, or new facts about one: cards, health, drained. Leases stay as they are."""
        old = self._desks.get(node.id)
        if old is not None:
            if old.node == node:
                return
            self._racks.take(old)
        desk = Desk(node, cards={card.uuid: card for card in node.cards})
        self._racks.know(node)
        self._desks[node.id] = desk
        for lease in self.leases_on(node.id):
            desk.count(lease, 1)
        self._racks.put(desk)
        self._gain(node.id)

    def drop_node(self, node_id: str) -> list[Lease]:
        """The node is lost, and with it what ran there: those leases are released and returned."""
        desk = self._desks.pop(node_id, None)
        if desk is not None:
            self._racks.take(desk)
        lost = self.leases_on(node_id)
        for lease in lost:
            del self._leases[lease.id]
        self._leases_on.pop(node_id, None)
        for key in [key for key in self._held if key[0] == node_id]:
            del self._held[key]
        return lost

    def hold(self, request_id: str, keys: Iterable[CardKey]) -> None:
        """Keeps cards for one request; a card that another one holds already stays with that one."""
        for key in keys:
            self._held.setdefault(key, request_id)
            self._reshelve(key[0])

    def let_go(self, request_id: str) -> None:
        for key in [key for key, holder in self._held.items() if holder == request_id]:
            del self._held[key]
            self._reshelve(key[0])
            self._gain(key[0])

    def gained_since(self, gains: int) -> set[str] | None:
        """Nodes where room may have appeared since `gains` was so; None when that is too long ago to say."""
        new = self.gains - gains
        if not 0 <= new <= len(self._gained):
            return None
        return {self._gained[-number] for number in range(1, new + 1)}

    # Leases

    def find(
        self, request: Request, avoid: Container[str] = (), *, among: Iterable[str] | None = None
    ) -> Spot | None:
        """The tightest place where it fits now, not on a node in `avoid`; changes nothing. `among` are
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
        """A lease on the best place, or None when there is none now. An id that has a lease keeps that
        one.
        """
        known = self._leases.get(request.id)
        if known is not None:
            return known
        spot = self.find(request, avoid, among=among)
        if spot is None:
            return None
        needs = request.needs
        lease = Lease(
            id=request.id,
            owner=request.owner,
            engine=needs.engine,
            spot=spot,
            cpu_mhz=needs.cpu_mhz,
            memory_mib=needs.memory_mib,
            peak_mib=needs.vram_mib,
            granted_at_s=now_s,
            expected_end_s=None if request.expected_s is None else now_s + request.expected_s,
        )
        self.restore(lease)
        self.let_go(request.id)
        return lease

    def restore(self, lease: Lease) -> None:
        """Writes down what is so already: at a restart, or where Nomad chose another card than was asked
        for.
        """
        if lease.id in self._leases:
            raise Conflict(
                "placement.lease_exists",
                f"There is a lease for {lease.id} already.",
                "Release it first, or use `reconcile`.",
            )
        self._leases[lease.id] = lease
        self._leases_on.setdefault(lease.spot.node_id, {})[lease.id] = None
        self._apply(lease, 1)

    def release(self, lease_id: str) -> Lease | None:
        """Ended, cancelled or lost. None when there is no such lease: a second release does no harm."""
        lease = self._leases.pop(lease_id, None)
        if lease is None:
            return None
        here = self._leases_on[lease.spot.node_id]
        del here[lease_id]
        if not here:
            del self._leases_on[lease.spot.node_id]
        self._apply(lease, -1)
        self._gain(lease.spot.node_id)
        return lease

    def expect(self, lease_id: str, end_s: float) -> None:
        """When it will probably end, as its own progress says. Nothing happens when the lease is gone."""
        lease = self._leases.get(lease_id)
        if lease is not None:
            self._leases[lease_id] = replace(lease, expected_end_s=end_s)

    def stranded(self) -> list[Lease]:
        """Leases on cards that are faulty or gone, or on nodes that are unknown: stop and submit them
        again.
        """
        return [lease for lease in self._leases.values() if not self._stands(lease)]

    def follow(self, lease: Lease) -> Lease | None:
        """Writes down where one runs, by what the cluster says; returns what was known before."""
        known = self._leases.get(lease.id)
        if known is None:
            self.restore(lease)
        elif known.spot != lease.spot:
            self.release(lease.id)
            # The card is a fact of the cluster; who owns it and until when is a fact of ours.
            self.restore(replace(known, spot=lease.spot))
        return known

    def reconcile(self, running: Iterable[Lease], *, pending: Container[str] = ()) -> Reconciled:
        """Makes the book equal to what runs, by what the cluster says. `pending` are ids that the cluster
        knows and has not placed yet: their leases stay.
        """
        seen: set[str] = set()
        adopted: list[Lease] = []
        moved: list[Lease] = []
        for lease in running:
            seen.add(lease.id)
            known = self.follow(lease)
            if known is None:
                adopted.append(lease)
            elif known.spot != lease.spot:
                moved.append(self._leases[lease.id])
        absent = [i for i in self._leases if i not in seen and i not in pending]
        gone = [old for lease_id in absent if (old := self.release(lease_id)) is not None]
        return Reconciled(tuple(adopted), tuple(moved), tuple(gone))

    def part(self, node_ids: Iterable[str]) -> Book:
        """A copy of some nodes with their leases and holds, to try a change on."""
        wanted = [node_id for node_id in node_ids if node_id in self._desks]
        copy = Book(
            (self._desks[node_id].node for node_id in wanted),
            (lease for node_id in wanted for lease in self.leases_on(node_id)),
        )
        for key, holder in self._held.items():
            if key[0] in copy._desks:
                copy.hold(holder, [key])
        return copy

    # Counting

    def _stands(self, lease: Lease) -> bool:
        desk = self._desks.get(lease.spot.node_id)
        if desk is None:
            return False
        return all(uuid in desk.cards and not desk.cards[uuid].fault for uuid in lease.spot.cards)

    def _apply(self, lease: Lease, sign: int) -> None:
        desk = self._desks.get(lease.spot.node_id)
        if desk is None:
            return
        desk.count(lease, sign)
        self._racks.put_machine(desk)
        self._racks.put_cards(desk, lease.spot.cards)

    def _gain(self, node_id: str) -> None:
        self.gains += 1
        self._gained.append(node_id)

    def _reshelve(self, node_id: str) -> None:
        desk = self._desks.get(node_id)
        if desk is not None:
            self._racks.put(desk)
