"""Counts bytes on their way into a store, so that together they stay within its quota; used by
`BlobStore`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QuotaCheck = Callable[[int], None]
"""Raises StorageFull when so many bytes more do not fit."""


class InFlightBytes:
    """Bytes that were announced or written for incomplete files, of all threads."""

    def __init__(self, check: QuotaCheck) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._total = 0
        self._written = 0

    @property
    def total(self) -> int:
        return self._total

    @property
    def unwritten(self) -> int:
        """Returns the reserved bytes that are not written yet."""
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
        """Returns the total after the change."""
        with self._lock:
            self._total += change
            return self._total

    def check(self, total: int) -> None:
        self._check(total)


class Reservation:
    """One file's share of the bytes in flight."""

    def __init__(self, in_flight: InFlightBytes) -> None:
        self._in_flight = in_flight
        self.bytes = 0
        self.written = 0

    def add_written(self, size: int) -> None:
        """Counts bytes that are on the disk."""
        self.written += size
        self._in_flight.add_written(size)

    def grow_to(self, size: int) -> None:
        """Grows the reservation to `size` bytes. Raises StorageFull when all files in flight together do not
        fit.
        """
        more = size - self.bytes
        if more <= 0:
            return
        # Counted before it is checked: of two concurrent calls, at least one sees the other.
        total = self._in_flight.add(more)
        self.bytes = size
        self._in_flight.check(total)
