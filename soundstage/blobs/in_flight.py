"""Counts bytes on their way into a store, so that together they keep its quota; used by `BlobStore`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

RoomCheck = Callable[[int], None]
"""Raises StorageFull when so many bytes more do not fit."""


class InFlightBytes:
    """Bytes that were announced or written for incomplete files, of all threads."""

    def __init__(self, check: RoomCheck) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._total = 0
        self._written = 0

    @property
    def total(self) -> int:
        return self._total

    @property
    def unwritten(self) -> int:
        """Returns what the disk still has to take of them."""
        with self._lock:
            return self._total - self._written

    @contextmanager
    def reserve(self) -> Iterator[Reservation]:
        """A reservation of 0 bytes, which ends with the block."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            self.add_written(-reservation.written)
            self.add(-reservation.bytes)

    def add_written(self, change: int) -> None:
        with self._lock:
            self._written += change

    def add(self, change: int) -> int:
        """Return the total after the change."""
        with self._lock:
            self._total += change
            return self._total

    def check(self, total: int) -> None:
        self._check(total)


class Reservation:
    """The part of one file."""

    def __init__(self, total: InFlightBytes) -> None:
        self._total = total
        self.bytes = 0
        self.written = 0

    def add_written(self, size: int) -> None:
        """So many bytes more are on the disk."""
        self.written += size
        self._total.add_written(size)

    def raise_to(self, size: int) -> None:
        """Raises StorageFull when the file, with all others in flight, does not fit."""
        more = size - self.bytes
        if more <= 0:
            return
        # Counted before it is checked: of two that come at once, one at least sees the other.
        total = self._total.add(more)
        self.bytes = size
        self._total.check(total)
