"""Where a request fits best now: the tightest place on the shelves; asked by the book, changes nothing."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping

from farm.placement.cards import CardKind, Request
from farm.placement.desk import CardKey, Desk
from farm.placement.leases import Spot
from farm.placement.racks import MHZ_PER_LEVEL, Racks
from farm.placement.shelves import levels_of


class Chooser:
    """Reads the pages (`desks`), the holds and the shelves of one book."""

    def __init__(self, desks: Mapping[str, Desk], held: Mapping[CardKey, str], racks: Racks) -> None:
        self._desks = desks
        self._held = held
        self._racks = racks

    def find(
        self, request: Request, avoid: Container[str] = (), *, among: Iterable[str] | None = None
    ) -> Spot | None:
        """The tightest place where it fits now, not on a node in `avoid`. `among` are
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

    def _find_shares(self, request: Request, avoid: Container[str]) -> Spot | None:
        shelves = [self._racks.shared[kind] for kind in self._racks.liked_kinds(request, shared=True)]
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
        for kind in self._racks.liked_kinds(request, shared=False):
            for node_id in self._racks.whole[kind].upwards(request.needs.gpus):
                if node_id not in avoid and self._desks[node_id].has_machine_for(request):
                    return Spot(node_id, self._pick(node_id, kind, request))
        return None

    def _find_machine(self, request: Request, avoid: Container[str]) -> Spot | None:
        """Nodes without cards first: the processor of a GPU node feeds its cards."""
        lowest = request.needs.cpu_mhz // MHZ_PER_LEVEL
        for machines in (self._racks.plain_machines, self._racks.card_machines):
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
            return Spot(node_id) if self._held.get((node_id, "")) in (None, request.id) else None
        if not (request.may_share if shared else request.may_take_whole):
            return None
        for kind in self._racks.liked_kinds(request, shared=shared):
            if not shared:
                cards = self._pick(node_id, kind, request)
                if len(cards) == request.needs.gpus:
                    return Spot(node_id, cards)
                continue
            free = [
                (desk.free_shares(card), card.uuid)
                for card in desk.node.cards
                if card.kind == kind and self._held.get((node_id, card.uuid)) in (None, request.id)
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
