"""Remembers of very many names which marks they bear, without the names; for what is kept of long jobs."""

from __future__ import annotations

import hashlib
import threading
from array import array
from enum import Flag

_BITS = 4
"""Of a cell for the marks. The other sixty tell names apart: two of a million look alike once in two million
times."""
_FIRST = 256


class Mark(Flag):
    """used: asked for or made by this job. put: made by it. found: made by an earlier one. listed: written
    down for whoever has to forget it.
    """

    USED = 1
    PUT = 2
    FOUND = 4
    LISTED = 8


class Marks:
    """Eight bytes for each name and at most twice as many free ones: half an hour of frames takes half a MiB,
    where sets of the names took twelve. Threads may share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clear()

    def add(self, name: str, mark: Mark) -> bool:
        """Returns whether the name had not borne it yet."""
        key, bits = _key(name), mark.value
        with self._lock:
            place = _place(self._cells, key)
            before = self._cells[place]
            self._cells[place] = before | key | bits
            self._taken += before == 0
            if 3 * self._taken > 2 * len(self._cells):
                self._grow()
        return not before & bits

    def has(self, name: str, mark: Mark) -> bool:
        key = _key(name)
        with self._lock:
            return bool(self._cells[_place(self._cells, key)] & mark.value)

    def clear(self) -> None:
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self._cells, self._taken = _cells(_FIRST), 0

    def _grow(self) -> None:
        larger = _cells(2 * len(self._cells))
        for cell in self._cells:
            if cell:
                larger[_place(larger, cell >> _BITS << _BITS)] = cell
        self._cells = larger


def _cells(count: int) -> array[int]:
    return array("Q", bytes(8 * count))


def _key(name: str) -> int:
    seen = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(seen, "big") >> _BITS << _BITS


def _place(cells: array[int], key: int) -> int:
    """Returns where the cell of this key is, or a free one for it: the first from where it belongs."""
    place = (key >> _BITS) % len(cells)
    while cells[place] and cells[place] >> _BITS << _BITS != key:
        place = (place + 1) % len(cells)
    return place
