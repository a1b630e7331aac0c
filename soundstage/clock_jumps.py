"""Notices that the clock of this machine was set back. Waits that are stored as times, so that they outlive a
process, would otherwise last that much longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

LEAST_S = 5.0
"""Less is a correction as of NTP, which no wait needs to follow."""
UNSEEN_S = 300.0
"""Who has not looked for so long did not lead, and has none of the waits."""


class ClockWatch:
    """Compares the clock with the monotonic one. A clock that is set ahead only ends waits sooner."""

    def __init__(
        self, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock, self._monotonic = clock, monotonic
        self._looked_at_s = monotonic()
        self._offset_s = clock() - self._looked_at_s

    def set_back(self) -> timedelta:
        """Returns by how much it was set back since the last call; zero when it was not."""
        now_s = self._monotonic()
        offset_s, unseen_s = self._clock() - now_s, now_s - self._looked_at_s
        back_s = self._offset_s - offset_s
        self._looked_at_s, self._offset_s = now_s, offset_s
        return timedelta(seconds=back_s if back_s >= LEAST_S and unseen_s < UNSEEN_S else 0.0)
