"""Delays grow, are bounded, differ, and can be repeated."""

from __future__ import annotations

import random

import pytest

from soundstage.backoff import FULL_JITTER, Backoff


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(first_s=0.5, longest_s=10.0, jitter=(1.0, 1.0))
    assert [backoff.delay_s(failures) for failures in (1, 2, 3, 4, 5, 6, 7)] == [0.5, 1, 2, 4, 8, 10, 10]
    assert backoff.delay_s(100_000) == 10


@pytest.mark.parametrize("spread", [FULL_JITTER, (0.5, 1.5), (0.8, 1.2)])
def test_jitter_spreads_delays_over_its_whole_range(spread: tuple[float, float]) -> None:
    backoff = Backoff(first_s=4.0, longest_s=60.0, jitter=spread)
    drawn = [backoff.delay_s(2) / 8.0 for _ in range(500)]
    low, high = spread
    margin = 0.1 * (high - low)
    assert low <= min(drawn) < low + margin
    assert high - margin < max(drawn) <= high
    assert sum(drawn) / 500 == pytest.approx((low + high) / 2, rel=0.1)


def test_a_seed_repeats_the_delay() -> None:
    drawn = [Backoff().delay_s(3, random.Random(seed)) for seed in ("t1", "t1", "t2")]  # noqa: S311
    assert drawn[0] == drawn[1] != drawn[2]
