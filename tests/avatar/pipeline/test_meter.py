"""Progress is told often enough to watch and seldom enough to read."""

from itertools import pairwise

import pytest
from avatar.pipeline import meter
from avatar.spec import FrameProgress


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(meter.time, "monotonic", lambda: Clock.now)
    return Clock


def test_it_speaks_four_times_a_second_at_most_and_at_the_last_frame(clock):
    said: list[tuple[float, FrameProgress]] = []
    counter = meter.FrameMeter(lambda line: said.append((clock.now, line)), "a", 1003)
    for _ in range(1003):
        clock.now += 0.01
        counter.count()
    moments = [moment for moment, _ in said]
    assert 36 <= len(said) <= 42
    assert all(later - sooner >= 0.25 - 1e-6 for sooner, later in pairwise(moments[:-1]))
    assert said[-1][1].done_frames == 1003
    assert said[-1][1].eta_s == 0


def test_speed_and_time_left_follow_from_what_was_done(clock):
    said: list[FrameProgress] = []
    counter = meter.FrameMeter(said.append, None, 200)
    for _ in range(50):
        clock.now += 0.02
        counter.count()
    assert said[-1].fps == pytest.approx(50, rel=0.02)
    assert said[-1].eta_s == pytest.approx((200 - said[-1].done_frames) / 50, abs=0.11)
