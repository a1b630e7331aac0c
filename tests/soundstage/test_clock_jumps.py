"""A clock that was set back is noticed once; one that runs on, drifts or was set ahead is not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from soundstage.clock_jumps import UNSEEN_S, ClockWatch


class Clocks:
    def __init__(self) -> None:
        self.wall_s, self.monotonic_s = 1_000_000.0, 50.0
        self.watch = ClockWatch(lambda: self.wall_s, lambda: self.monotonic_s)

    def pass_time(self, seconds: float, jump_s: float = 0.0) -> timedelta:
        self.monotonic_s += seconds
        self.wall_s += seconds + jump_s
        return self.watch.set_back()


def test_an_hour_back_is_reported_once() -> None:
    clocks = Clocks()
    assert clocks.pass_time(1) == timedelta()
    assert clocks.pass_time(1, jump_s=-3600) == timedelta(hours=1)
    assert clocks.pass_time(1) == timedelta()


@pytest.mark.parametrize("jump_s", [3600.0, 0.0, -0.5])
def test_a_clock_that_runs_on_drifts_or_was_set_ahead_is_not_reported(jump_s: float) -> None:
    clocks = Clocks()
    assert [clocks.pass_time(1, jump_s) for _ in range(20)] == [timedelta()] * 20


def test_who_has_not_looked_for_long_has_no_waits() -> None:
    clocks = Clocks()
    assert clocks.pass_time(UNSEEN_S, jump_s=-3600) == timedelta()
    assert clocks.pass_time(1) == timedelta()
