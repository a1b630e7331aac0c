"""Estimates how much GPU memory an engine takes: what it declares, raised by what was measured here. Called
by the Nomad adapter where a task becomes a request.
"""

from __future__ import annotations

from collections import deque

from farm.placement.cards import SHARE_MIB

MAX_PEAKS = 32
MARGIN = 1.1
"""Two runs of one engine differ by some per cent: memory is taken in blocks and pictures differ."""
AFTER_OVERFLOW = 1.25


class Peaks:
    """Per engine: the last measured peaks, and the largest grant that turned out too small."""

    def __init__(self) -> None:
        self._measured: dict[str, deque[int]] = {}
        self._too_small: dict[str, int] = {}

    def record_peak(self, engine: str, peak_mib: int) -> None:
        self._measured.setdefault(engine, deque(maxlen=MAX_PEAKS)).append(peak_mib)

    def record_out_of_memory(self, engine: str, grant_mib: int) -> None:
        """Records a run that failed because it needed more than its grant."""
        self._too_small[engine] = max(grant_mib, self._too_small.get(engine, 0))

    def need_mib(self, engine: str, declared_mib: int) -> int:
        """Returns what to ask for, never less than declared. More, in whole shares, where the largest of
        the last peaks with a margin is more, or where a grant was too small.
        """
        seen = max(self._measured.get(engine, ()), default=0) * MARGIN
        seen = max(seen, self._too_small.get(engine, 0) * AFTER_OVERFLOW)
        return declared_mib if seen <= declared_mib else int(-(-seen // SHARE_MIB)) * SHARE_MIB
