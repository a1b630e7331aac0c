"""The book of leases: who holds what of which card, and where a request fits best. Called by the waiting
line, `explain` and the Nomad adapter; pure bookkeeping, no clock and no I/O.

Usage is added up from leases only. A card that is gone or faulty keeps the leases on it until they are
released, because Nomad lets a task run on when its card fails.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace

from farm.placement.cards import CardKind, Node, Request, Shape
from farm.placement.desk import CardKey, Desk
from farm.placement.leases import Lease, Spot
from farm.placement.shelves import Shelves, levels_of
from soundstage.errors import Conflict

MHZ_PER_LEVEL = 250
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
        self._shared: dict[CardKind, Shelves[CardKey]] = {}
        self._whole: dict[CardKind, Shelves[str]] = {}
        self._plain_machines: Shelves[str] = Shelves()
        self._card_machines: Shelves[str] = Shelves()
        self._liked: dict[tuple[Shape, bool], list[CardKind]] = {}
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

    def kinds(self, *, shared: bool) -> list[CardKind]:
        return [*(self._shared if shared else self._whole)]

    # Nodes and holds

    def put_node(self, node: Node) -> None:
        """A new node, or new facts about one: cards, health, drained. Leases stay as they are."""
        old = self._desks.get(node.id)
        if old is not None:
            if old.node == node:
                return
            self._unshelve(old)
        desk = Desk(node, cards={card.uuid: card for card in node.cards})
        for card in node.cards:
            known: dict[CardKind, Shelves[CardKey]] | dict[CardKind, Shelves[str]]
            known = self._shared if node.shared else self._whole
            if card.kind not in known:
                known[card.kind] = Shelves()
                self._liked.clear()
        self._desks[node.id] = desk
        for lease in self.leases_on(node.id):
            desk.count(lease, 1)
        self._shelve(desk)
        self._gain(node.id)

    def drop_node(self, node_id: str) -> list[Lease]:
        """The node is lost, and with it what ran there: those leases are released and returned."""
        desk = self._desks.pop(node_id, None)
        if desk is not None:
            self._unshelve(desk)
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
        if among is not None:
            return next(self._spots_among(request, avoid, among), None)
        if request.id in self._held.values() and (spot := self._find_held(request, avoid)) is not None:
            return spot
        if request.needs.gpus == 0:
            return self._find_machine(request, avoid)
        if request.may_share and (spot := self._find_shares(request, avoid)) is not None:
            return spot
        return self._find_whole(request, avoid) if request.may_take_whole else None

    def grant(
        self,
        request: Request,
        avoid: Container[str] = (),
        *,
        among: Iterable[str] | None = None,
        now_s: float = 0.0,
        lasts_s: float = float("inf"),
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
            expires_at_s=now_s + lasts_s,
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

    def renew(self, lease_id: str, until_s: float, expected_end_s: float | None = None) -> bool:
        """False when the lease is gone: its segment may run no longer."""
        lease = self._leases.get(lease_id)
        if lease is None:
            return False
        end_s = lease.expected_end_s if expected_end_s is None else expected_end_s
        self._leases[lease_id] = replace(lease, expires_at_s=until_s, expected_end_s=end_s)
        return True

    def expire(self, now_s: float) -> list[Lease]:
        """Releases and returns what nobody renewed in time."""
        late = [lease.id for lease in self._leases.values() if lease.expires_at_s <= now_s]
        return [lease for lease_id in late if (lease := self.release(lease_id)) is not None]

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

    # Choosing

    def liked_kinds(self, request: Request, *, shared: bool) -> list[CardKind]:
        """Kinds of cards that are right and large enough, the smallest first."""
        key = (request.shape, shared)
        kinds = self._liked.get(key)
        if kinds is None:
            known = self._shared if shared else self._whole
            least_mib = request.needs.vram_mib
            kinds = [kind for kind in known if kind.memory_mib >= least_mib and request.likes(kind)]
            kinds.sort(key=lambda kind: (kind.memory_mib, kind.model))
            self._liked[key] = kinds
        return kinds

    def _find_shares(self, request: Request, avoid: Container[str]) -> Spot | None:
        shelves = [self._shared[kind] for kind in self.liked_kinds(request, shared=True)]
        filled = 0
        for one in shelves:
            filled |= one.filled
        for level in levels_of(filled, request.shares):
            for one in shelves:
                for node_id, uuid in one.on(level):
                    if node_id not in avoid and self._desks[node_id].has_machine_for(request):
                        return Spot(node_id, (uuid,), request.shares)
        return None

    def _find_whole(self, request: Request, avoid: Container[str]) -> Spot | None:
        for kind in self.liked_kinds(request, shared=False):
            for node_id in self._whole[kind].upwards(request.needs.gpus):
                if node_id not in avoid and self._desks[node_id].has_machine_for(request):
                    return Spot(node_id, self._pick(node_id, kind, request))
        return None

    def _find_machine(self, request: Request, avoid: Container[str]) -> Spot | None:
        """Nodes without cards first: the processor of a GPU node feeds its cards."""
        lowest = request.needs.cpu_mhz // MHZ_PER_LEVEL
        for machines in (self._plain_machines, self._card_machines):
            for node_id in machines.upwards(lowest):
                if node_id not in avoid and self._desks[node_id].has_machine_for(request):
                    return Spot(node_id)
        return None

    def _find_held(self, request: Request, avoid: Container[str]) -> Spot | None:
        held_on = dict.fromkeys(key[0] for key, holder in self._held.items() if holder == request.id)
        return next(self._spots_among(request, avoid, held_on), None)

    def _spots_among(
        self, request: Request, avoid: Container[str], node_ids: Iterable[str]
    ) -> Iterator[Spot]:
        for node_id in node_ids:
            desk = self._desks.get(node_id)
            if desk is None or node_id in avoid or desk.node.drained or not desk.has_machine_for(request):
                continue
            spot = self._find_on(desk, request)
            if spot is not None:
                yield spot

    def _find_on(self, desk: Desk, request: Request) -> Spot | None:
        """On one node that has room on its machine, cards held for this request among the others."""
        node_id, shared = desk.node.id, desk.node.shared
        if request.needs.gpus == 0:
            return Spot(node_id) if self.holder(node_id) in (None, request.id) else None
        if not (request.may_share if shared else request.may_take_whole):
            return None
        for kind in self.liked_kinds(request, shared=shared):
            if not shared:
                cards = self._pick(node_id, kind, request)
                if len(cards) == request.needs.gpus:
                    return Spot(node_id, cards)
                continue
            free = [
                (desk.free_shares(card), card.uuid)
                for card in desk.node.cards
                if card.kind == kind and self.holder(node_id, card.uuid) in (None, request.id)
            ]
            room, uuid = min((one for one in free if one[0] >= request.shares), default=(0, ""))
            if room:
                return Spot(node_id, (uuid,), request.shares)
        return None

    def _pick(self, node_id: str, kind: CardKind, request: Request) -> tuple[str, ...]:
        free = self._desks[node_id].free_cards(kind)
        usable = [
            card.uuid for card in free if self._held.get((node_id, card.uuid), request.id) == request.id
        ]
        return tuple(usable[: request.needs.gpus])

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
        self._shelve_machine(desk)
        if desk.node.shared:
            for uuid in lease.spot.cards:
                self._shelve_share(desk, uuid)
        elif lease.spot.cards:
            self._shelve_whole(desk)

    # Shelving

    def _gain(self, node_id: str) -> None:
        self.gains += 1
        self._gained.append(node_id)

    def _reshelve(self, node_id: str) -> None:
        desk = self._desks.get(node_id)
        if desk is not None:
            self._shelve(desk)

    def _shelve(self, desk: Desk) -> None:
        self._shelve_machine(desk)
        if desk.node.shared:
            for uuid in desk.cards:
                self._shelve_share(desk, uuid)
        else:
            self._shelve_whole(desk)

    def _unshelve(self, desk: Desk) -> None:
        self._plain_machines.take(desk.node.id)
        self._card_machines.take(desk.node.id)
        for card in desk.node.cards:
            if desk.node.shared:
                self._shared[card.kind].take((desk.node.id, card.uuid))
            else:
                self._whole[card.kind].take(desk.node.id)

    def _shelve_machine(self, desk: Desk) -> None:
        machines = self._card_machines if desk.node.cards else self._plain_machines
        full = desk.free_cpu_mhz < 0 or desk.free_memory_mib < 0
        if desk.node.drained or full or (desk.node.id, "") in self._held:
            machines.take(desk.node.id)
        else:
            machines.put(desk.node.id, desk.free_cpu_mhz // MHZ_PER_LEVEL)

    def _shelve_share(self, desk: Desk, uuid: str) -> None:
        card = desk.cards.get(uuid)
        if card is None:
            return
        key = (desk.node.id, uuid)
        free = desk.free_shares(card)
        if free == 0 or desk.node.drained or key in self._held:
            self._shared[card.kind].take(key)
        else:
            self._shared[card.kind].put(key, free)

    def _shelve_whole(self, desk: Desk) -> None:
        free: dict[CardKind, int] = dict.fromkeys((card.kind for card in desk.node.cards), 0)
        if not desk.node.drained:
            for card in desk.node.cards:
                usable = not card.fault and not desk.taken.get(card.uuid)
                free[card.kind] += usable and (desk.node.id, card.uuid) not in self._held
        for kind, count in free.items():
            if count:
                self._whole[kind].put(desk.node.id, count)
            else:
                self._whole[kind].take(desk.node.id)
