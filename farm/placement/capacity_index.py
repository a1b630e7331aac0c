"""Indexes cards and machines of the farm by free capacity, so that the tightest fit is found without a search
(best-fit bin packing); written by the lease table, read by `choosing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from farm.placement.cards import CardKind, Node, Request, Shape
from farm.placement.node_usage import MACHINE, CardKey, NodeUsage

MHZ_PER_LEVEL = 250
Item = TypeVar("Item")


class SortedBuckets(Generic[Item]):
    """Each item is in the bucket of its level (a small number). `put`, `remove` and `at` take constant time
    in the number of items: a bitmask (`filled`) has a bit for each level whose bucket is not empty.
    """

    def __init__(self) -> None:
        # A dict keeps the order in which items came, which a set would not, so that placement is
        # deterministic.
        self._buckets: dict[int, dict[Item, None]] = {}
        self._level_of: dict[Item, int] = {}
        self.filled = 0

    def put(self, item: Item, level: int) -> None:
        """Moves the item to the bucket of this level."""
        if self._level_of.get(item) == level:
            return
        self.remove(item)
        self._level_of[item] = level
        self._buckets.setdefault(level, {})[item] = None
        self.filled |= 1 << level

    def remove(self, item: Item) -> None:
        """Removes the item, if it is in a bucket."""
        level = self._level_of.pop(item, None)
        if level is None:
            return
        bucket = self._buckets[level]
        del bucket[item]
        if not bucket:
            del self._buckets[level]
            self.filled ^= 1 << level

    def at(self, level: int) -> Iterator[Item]:
        """Yields the items of this level, in the order in which they came."""
        return iter(self._buckets.get(level, ()))

    def from_level(self, level: int) -> Iterator[Item]:
        """Yields all items of this level or above, the tightest first."""
        for bucket_level in set_bits(self.filled, level):
            yield from self._buckets[bucket_level]


def set_bits(filled: int, lowest: int) -> Iterator[int]:
    """Yields the numbers of the bits set in `filled`, from `lowest` upwards."""
    left = filled >> lowest << lowest
    while left:
        bit = left & -left
        yield bit.bit_length() - 1
        left ^= bit


class CapacityIndex:
    """Cards in shares and machines are items of their own, whole cards are counted by node and kind. What is
    held for a request (`reservations`, of the lease table) is in no bucket.
    """

    def __init__(self, reservations: Mapping[CardKey, str]) -> None:
        self._reservations = reservations
        self.shared: dict[CardKind, SortedBuckets[CardKey]] = {}
        self.whole: dict[CardKind, SortedBuckets[str]] = {}
        self.plain_machines: SortedBuckets[str] = SortedBuckets()
        self.card_machines: SortedBuckets[str] = SortedBuckets()
        self._matching: dict[tuple[Shape, bool], list[CardKind]] = {}

    def add_kinds(self, node: Node) -> None:
        """Creates buckets for the kinds of cards that a node has."""
        for card in node.cards:
            known: dict[CardKind, SortedBuckets[CardKey]] | dict[CardKind, SortedBuckets[str]]
            known = self.shared if node.shared else self.whole
            if card.kind not in known:
                known[card.kind] = SortedBuckets()
                self._matching.clear()

    def matching_kinds(self, request: Request, *, shared: bool) -> list[CardKind]:
        """Returns the kinds of cards that a request accepts and that are large enough, the smallest first."""
        key = (request.shape, shared)
        kinds = self._matching.get(key)
        if kinds is None:
            known = self.shared if shared else self.whole
            min_mib = request.needs.vram_mib
            kinds = [kind for kind in known if kind.memory_mib >= min_mib and request.accepts(kind)]
            kinds.sort(key=lambda kind: (kind.memory_mib, kind.model))
            self._matching[key] = kinds
        return kinds

    def put(self, usage: NodeUsage) -> None:
        """Indexes all of a node by what is free now."""
        self.put_machine(usage)
        if usage.node.shared:
            for uuid in usage.cards:
                self._put_share(usage, uuid)
        else:
            self._put_whole(usage)

    def put_cards(self, usage: NodeUsage, uuids: tuple[str, ...]) -> None:
        """Indexes some cards of a node; with whole cards all of them, because they are counted."""
        if not usage.node.shared:
            if uuids:
                self._put_whole(usage)
            return
        for uuid in uuids:
            self._put_share(usage, uuid)

    def put_machine(self, usage: NodeUsage) -> None:
        machines = self.card_machines if usage.node.cards else self.plain_machines
        full = usage.free_cpu_mhz < 0 or usage.free_memory_mib < 0
        if usage.node.drained or full or (usage.node.id, MACHINE) in self._reservations:
            machines.remove(usage.node.id)
        else:
            machines.put(usage.node.id, usage.free_cpu_mhz // MHZ_PER_LEVEL)

    def remove(self, usage: NodeUsage) -> None:
        """Removes a node that is gone or about to change."""
        self.plain_machines.remove(usage.node.id)
        self.card_machines.remove(usage.node.id)
        for card in usage.node.cards:
            if usage.node.shared:
                self.shared[card.kind].remove((usage.node.id, card.uuid))
            else:
                self.whole[card.kind].remove(usage.node.id)

    def _put_share(self, usage: NodeUsage, uuid: str) -> None:
        card = usage.cards.get(uuid)
        if card is None:
            return
        key = (usage.node.id, uuid)
        free = usage.free_shares(card)
        if free == 0 or usage.node.drained or key in self._reservations:
            self.shared[card.kind].remove(key)
        else:
            self.shared[card.kind].put(key, free)

    def _put_whole(self, usage: NodeUsage) -> None:
        free: dict[CardKind, int] = dict.fromkeys((card.kind for card in usage.node.cards), 0)
        if not usage.node.drained:
            for card in usage.node.cards:
                usable = not card.fault and not usage.taken.get(card.uuid)
                free[card.kind] += usable and (usage.node.id, card.uuid) not in self._reservations
        for kind, count in free.items():
            if count:
                self.whole[kind].put(usage.node.id, count)
            else:
                self.whole[kind].remove(usage.node.id)
