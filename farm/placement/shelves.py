"""Things sorted by how much room they have left, so that the tightest fit is found without a search; used by
the book for cards and nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Shelves(Generic[Item]):
    """Each item lies on the shelf of its level (a small number). All calls take constant time in the number
    of items: which shelves hold anything is one whole number with a bit per level.
    """

    def __init__(self) -> None:
        # A dict keeps the order in which items came, which a set would not: equal runs choose equally.
        self._shelves: dict[int, dict[Item, None]] = {}
        self._level_of: dict[Item, int] = {}
        self.filled = 0

    def put(self, item: Item, level: int) -> None:
        """Lays it on its shelf, from wherever it lay."""
        if self._level_of.get(item) == level:
            return
        self.take(item)
        self._level_of[item] = level
        self._shelves.setdefault(level, {})[item] = None
        self.filled |= 1 << level

    def take(self, item: Item) -> None:
        """Off the shelves; nothing happens when it lies on none."""
        level = self._level_of.pop(item, None)
        if level is None:
            return
        shelf = self._shelves[level]
        del shelf[item]
        if not shelf:
            del self._shelves[level]
            self.filled ^= 1 << level

    def on(self, level: int) -> Iterator[Item]:
        return iter(self._shelves.get(level, ()))

    def upwards(self, level: int) -> Iterator[Item]:
        """All items of this level or above, the tightest first."""
        for filled in levels_of(self.filled, level):
            yield from self._shelves[filled]

    def levels(self) -> dict[Item, int]:
        """A copy, for tests and for looking."""
        return dict(self._level_of)


def levels_of(filled: int, lowest: int) -> Iterator[int]:
    """Numbers of the bits set in `filled`, from `lowest` upwards."""
    left = filled >> lowest << lowest
    while left:
        bit = left & -left
        yield bit.bit_length() - 1
        left ^= bit
