"""A clock of this machine that tests set back, for what compares it with the monotonic one."""

from __future__ import annotations

import time

from soundstage.clock_jumps import ClockWatch


class SetClock:
    """`back_s` is by how much it was set back."""

    def __init__(self) -> None:
        self.back_s = 0.0

    def watch(self) -> ClockWatch:
        return ClockWatch(lambda: time.time() - self.back_s)
