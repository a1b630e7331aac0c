"""Sorts items into buckets by free capacity, so that the tightest fit is found without a search; used by the
capacity index for cards and nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

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

    def levels(self) -> dict[Item, int]:
        """Returns a copy of the levels, for tests."""
        return dict(self._level_of)


def set_bits(filled: int, lowest: int) -> Iterator[int]:
    """Yields the numbers of the bits set in `filled`, from `lowest` upwards."""
    left = filled >> lowest << lowest
    while left:
        bit = left & -left
        yield bit.bit_length() - 1
        left ^= bit
