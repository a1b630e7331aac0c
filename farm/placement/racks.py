"""All cards and machines of the farm on shelves, by the room that each has left, so that the tightest fit is
found without a search; kept by the book, read by the choosing of a place.
"""

from __future__ import annotations

from collections.abc import Mapping

from farm.placement.cards import CardKind, Node, Request, Shape
from farm.placement.desk import CardKey, Desk
from farm.placement.shelves import Shelves

MHZ_PER_LEVEL = 250


class Racks:
    """Cards in shares and machines lie on their own, whole cards by node and kind. What is held for somebody
    (`held`, the book's own) lies nowhere.
    """

    def __init__(self, held: Mapping[CardKey, str]) -> None:
        self._held = held
        self.shared: dict[CardKind, Shelves[CardKey]] = {}
        self.whole: dict[CardKind, Shelves[str]] = {}
        self.plain_machines: Shelves[str] = Shelves()
        self.card_machines: Shelves[str] = Shelves()
        self._liked: dict[tuple[Shape, bool], list[CardKind]] = {}

    def know(self, node: Node) -> None:
        """Makes room for the kinds of cards that a node has."""
        for card in node.cards:
            known: dict[CardKind, Shelves[CardKey]] | dict[CardKind, Shelves[str]]
            known = self.shared if node.shared else self.whole
            if card.kind not in known:
                known[card.kind] = Shelves()
                self._liked.clear()

    def liked_kinds(self, request: Request, *, shared: bool) -> list[CardKind]:
        """Kinds of cards that are right and large enough, the smallest first."""
        key = (request.shape, shared)
        kinds = self._liked.get(key)
        if kinds is None:
            known = self.shared if shared else self.whole
            least_mib = request.needs.vram_mib
            kinds = [kind for kind in known if kind.memory_mib >= least_mib and request.likes(kind)]
            kinds.sort(key=lambda kind: (kind.memory_mib, kind.model))
            self._liked[key] = kinds
        return kinds

    def put(self, desk: Desk) -> None:
        """All of a node, by what is free now."""
        self.put_machine(desk)
        if desk.node.shared:
            for uuid in desk.cards:
                self._put_share(desk, uuid)
        else:
            self._put_whole(desk)

    def put_cards(self, desk: Desk, uuids: tuple[str, ...]) -> None:
        """Some cards of a node, and with whole cards all of them: they are counted."""
        if not desk.node.shared:
            if uuids:
                self._put_whole(desk)
            return
        for uuid in uuids:
            self._put_share(desk, uuid)

    def put_machine(self, desk: Desk) -> None:
        machines = self.card_machines if desk.node.cards else self.plain_machines
        full = desk.free_cpu_mhz < 0 or desk.free_memory_mib < 0
        if desk.node.drained or full or (desk.node.id, "") in self._held:
            machines.take(desk.node.id)
        else:
            machines.put(desk.node.id, desk.free_cpu_mhz // MHZ_PER_LEVEL)

    def take(self, desk: Desk) -> None:
        """The node is gone, or about to change."""
        self.plain_machines.take(desk.node.id)
        self.card_machines.take(desk.node.id)
        for card in desk.node.cards:
            if desk.node.shared:
                self.shared[card.kind].take((desk.node.id, card.uuid))
            else:
                self.whole[card.kind].take(desk.node.id)

    def _put_share(self, desk: Desk, uuid: str) -> None:
        card = desk.cards.get(uuid)
        if card is None:
            return
        key = (desk.node.id, uuid)
        free = desk.free_shares(card)
        if free == 0 or desk.node.drained or key in self._held:
            self.shared[card.kind].take(key)
        else:
            self.shared[card.kind].put(key, free)

    def _put_whole(self, desk: Desk) -> None:
        free: dict[CardKind, int] = dict.fromkeys((card.kind for card in desk.node.cards), 0)
        if not desk.node.drained:
            for card in desk.node.cards:
                usable = not card.fault and not desk.taken.get(card.uuid)
                free[card.kind] += usable and (desk.node.id, card.uuid) not in self._held
        for kind, count in free.items():
            if count:
                self.whole[kind].put(desk.node.id, count)
            else:
                self.whole[kind].take(desk.node.id)
