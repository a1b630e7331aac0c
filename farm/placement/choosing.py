"""Finds the tightest fit of a request in the capacity index; called by the lease table, changes nothing."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping

from farm.placement.capacity_index import MHZ_PER_LEVEL, CapacityIndex, set_bits
from farm.placement.cards import CardKind, Request
from farm.placement.leases import Assignment
from farm.placement.node_usage import MACHINE, CardKey, NodeUsage


class Chooser:
    """Reads the usages, the reservations and the capacity index of one lease table."""

    def __init__(
        self, usages: Mapping[str, NodeUsage], reservations: Mapping[CardKey, str], capacity: CapacityIndex
    ) -> None:
        self._usages = usages
        self._reservations = reservations
        self._capacity = capacity

    def find(
        self, request: Request, avoid: Container[str] = (), *, among: Iterable[str] | None = None
    ) -> Assignment | None:
        """Returns the tightest fit now, not on a node in `avoid`. `among` are
        nodes to look at when all others are known not to fit.
        """
        if among is not None:
            return next(self._assignments_on(request, avoid, among), None)
        reserved = request.id in self._reservations.values()
        if reserved and (assignment := self._find_reserved(request, avoid)) is not None:
            return assignment
        if request.needs.gpus == 0:
            return self._find_machine(request, avoid)
        if request.may_share and (assignment := self._find_shares(request, avoid)) is not None:
            return assignment
        return self._find_whole(request, avoid) if request.may_take_whole else None

    def _find_shares(self, request: Request, avoid: Container[str]) -> Assignment | None:
        buckets = [
            self._capacity.shared[kind] for kind in self._capacity.matching_kinds(request, shared=True)
        ]
        filled = 0
        for one in buckets:
            filled |= one.filled
        for level in set_bits(filled, request.shares):
            for one in buckets:
                for node_id, uuid in one.at(level):
                    if node_id not in avoid and self._usages[node_id].has_machine_for(request):
                        return Assignment(node_id, (uuid,), request.shares)
        return None

    def _find_whole(self, request: Request, avoid: Container[str]) -> Assignment | None:
        for kind in self._capacity.matching_kinds(request, shared=False):
            for node_id in self._capacity.whole[kind].from_level(request.needs.gpus):
                if node_id not in avoid and self._usages[node_id].has_machine_for(request):
                    return Assignment(node_id, self._pick(node_id, kind, request))
        return None

    def _find_machine(self, request: Request, avoid: Container[str]) -> Assignment | None:
        """Nodes without cards first: the processor of a GPU node feeds its cards."""
        lowest = request.needs.cpu_mhz // MHZ_PER_LEVEL
        for machines in (self._capacity.plain_machines, self._capacity.card_machines):
            for node_id in machines.from_level(lowest):
                if node_id not in avoid and self._usages[node_id].has_machine_for(request):
                    return Assignment(node_id)
        return None

    def _find_reserved(self, request: Request, avoid: Container[str]) -> Assignment | None:
        nodes = dict.fromkeys(key[0] for key, owner in self._reservations.items() if owner == request.id)
        return next(self._assignments_on(request, avoid, nodes), None)

    def _may_use(self, request: Request, key: CardKey) -> bool:
        """Returns whether a card or machine is free of other reservations."""
        return self._reservations.get(key) in (None, request.id)

    def _assignments_on(
        self, request: Request, avoid: Container[str], node_ids: Iterable[str]
    ) -> Iterator[Assignment]:
        for node_id in node_ids:
            usage = self._usages.get(node_id)
            if usage is None or node_id in avoid or usage.node.drained or not usage.has_machine_for(request):
                continue
            assignment = self._find_on(usage, request)
            if assignment is not None:
                yield assignment

    def _find_on(self, usage: NodeUsage, request: Request) -> Assignment | None:
        """Returns the fit on one node whose machine has room; cards reserved for it count as free."""
        node_id, shared = usage.node.id, usage.node.shared
        if request.needs.gpus == 0:
            return Assignment(node_id) if self._may_use(request, (node_id, MACHINE)) else None
        if not (request.may_share if shared else request.may_take_whole):
            return None
        for kind in self._capacity.matching_kinds(request, shared=shared):
            if not shared:
                cards = self._pick(node_id, kind, request)
                if len(cards) == request.needs.gpus:
                    return Assignment(node_id, cards)
                continue
            free = [
                (usage.free_shares(card), card.uuid)
                for card in usage.node.cards
                if card.kind == kind and self._may_use(request, (node_id, card.uuid))
            ]
            room, uuid = min((one for one in free if one[0] >= request.shares), default=(0, ""))
            if room:
                return Assignment(node_id, (uuid,), request.shares)
        return None

    def _pick(self, node_id: str, kind: CardKind, request: Request) -> tuple[str, ...]:
        free = self._usages[node_id].free_cards(kind)
        usable = [card.uuid for card in free if self._may_use(request, (node_id, card.uuid))]
        return tuple(usable[: request.needs.gpus])
