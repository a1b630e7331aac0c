"""Counts the bytes of a store and those on their way into it, so that together they stay within its quota;
used by `BlobStore`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from soundstage.errors import StorageFull

MIB = 1 << 20
# How long a measured size of the store is believed; other processes write too.
USAGE_SECONDS = 30.0


class Quota:
    """Bytes in flight are those that were announced or written for incomplete files, of all threads.

    `measure` adds up what is stored. Without a limit everything fits.
    """

    def __init__(self, limit_bytes: int | None, measure: Callable[[], int]) -> None:
        self._limit_bytes = limit_bytes
        self._measure = measure
        self._usage: tuple[float, int] | None = None
        self._lock = threading.Lock()
        self._in_flight = 0
        self._written = 0

    def measure(self) -> int:
        """Returns the stored bytes, measured anew."""
        total = self._measure()
        self._usage = (time.monotonic(), total)
        return total

    def count(self, change: int) -> None:
        """Counts stored bytes, or removed ones."""
        if self._usage is not None:
            measured_at, used = self._usage
            self._usage = (measured_at, used + change)

    def check(self, more: int) -> None:
        """Raises StorageFull when so many bytes more do not fit."""
        if self._limit_bytes is None:
            return
        measured_at, used = self._usage or (0.0, 0)
        if self._usage is None or time.monotonic() - measured_at > USAGE_SECONDS:
            used = self.measure()
        if used + more > self._limit_bytes:
            raise StorageFull(
                "blobs.quota_exceeded",
                f"{more / MIB:.1f} MiB more would pass the quota of {self._limit_bytes / MIB:.0f} MiB.",
                "Run `soundstage gc`, delete what is not needed, or raise `blobs.quota_mib`.",
            )

    def check_with_in_flight(self, more: int) -> None:
        """Raises StorageFull when so many bytes more do not fit beside those in flight."""
        self.check(self._in_flight + more)

    @property
    def unwritten(self) -> int:
        """Returns the reserved bytes that are not written yet."""
        with self._lock:
            return self._in_flight - self._written

    @contextmanager
    def reserve(self) -> Iterator[Reservation]:
        """A reservation of 0 bytes, which ends with the block."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            self.add_written(-reservation.written)
            self.add_in_flight(-reservation.bytes)

    def add_written(self, change: int) -> None:
        with self._lock:
            self._written += change

    def add_in_flight(self, change: int) -> int:
        """Returns the bytes in flight after the change."""
        with self._lock:
            self._in_flight += change
            return self._in_flight


class Reservation:
    """One file's share of the bytes in flight."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self.bytes = 0
        self.written = 0

    def add_written(self, size: int) -> None:
        """Counts bytes that are on the disk."""
        self.written += size
        self._quota.add_written(size)

    def grow_to(self, size: int) -> None:
        """Grows the reservation to `size` bytes. Raises StorageFull when all files in flight together do not
        fit.
        """
        more = size - self.bytes
        if more <= 0:
            return
        # Counted before it is checked: of two concurrent calls, at least one sees the other.
        total = self._quota.add_in_flight(more)
        self.bytes = size
        self._quota.check(total)
