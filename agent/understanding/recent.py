"""Keeps the last few results: one answer reads the same text several times."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Recent:
    """Holds at most `size` values by key. Threads may share it; two may find the same value at once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._found: OrderedDict[Hashable, tuple[object, Any]] = OrderedDict()

    def get(self, key: Hashable, of: object, find: Callable[[], T]) -> T:
        """Returns the value of the key for this very object, such as a world; `find` makes a new one."""
        entry = self._found.get(key)
        if entry is not None and entry[0] is of:
            value: T = entry[1]
            return value
        value = find()
        self._found[key] = (of, value)
        while len(self._found) > self._size:
            self._found.popitem(last=False)
        return value
