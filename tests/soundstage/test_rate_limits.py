"""Token buckets: what one source may do, what all may do, and that a quiet source passes beside loud ones."""

from __future__ import annotations

import pytest

from soundstage.rate_limits import Rate, RateLimiter, source_key


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_source_may_burst_and_then_waits_for_its_next_token(clock: Clock) -> None:
    limiter = RateLimiter(Rate(burst=3, per_minute=6), clock=clock)
    assert [limiter.take("10.0.0.1") for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limiter.take("10.0.0.1") == pytest.approx(10)
    assert limiter.take("10.0.0.2") == 0.0
    clock.now_s += 9.9
    assert limiter.take("10.0.0.1") > 0
    clock.now_s += 0.1
    assert limiter.take("10.0.0.1") == 0.0
    clock.now_s += 3600
    assert [limiter.take("10.0.0.1") > 0 for _ in range(4)] == [False, False, False, True]


def test_a_refused_request_takes_no_token_of_the_others(clock: Clock) -> None:
    limiter = RateLimiter(Rate(burst=2, per_minute=1), Rate(burst=8, per_minute=1), clock=clock)
    refused = sum(limiter.take("10.0.0.1") > 0 for _ in range(1000))
    assert refused == 998
    assert limiter.take("10.0.0.2") == 0.0


def test_a_quiet_source_passes_while_many_loud_ones_empty_the_shared_bucket(clock: Clock) -> None:
    limiter = RateLimiter(Rate(burst=10, per_minute=60), Rate(burst=40, per_minute=60), clock=clock)
    loud = [f"10.0.1.{number}" for number in range(50)]
    for source in loud * 10:
        limiter.take(source)
    for _ in range(60):
        clock.now_s += 1
        for source in loud:
            limiter.take(source)
    assert all(limiter.take(source) > 0 for source in loud)
    # Sixty tokens a minute for fifty loud sources, and still one for whoever comes for the first time.
    assert limiter.take("10.0.2.1") == 0.0


def test_a_success_is_refunded_and_failures_at_the_same_time_are_counted_before_they_end(
    clock: Clock,
) -> None:
    limiter = RateLimiter(Rate(burst=2, per_minute=1), Rate(burst=4, per_minute=1), clock=clock)
    for _ in range(100):
        assert limiter.take("10.0.0.1") == 0.0
        limiter.refund("10.0.0.1")
    assert [limiter.take("10.0.0.1") > 0 for _ in range(3)] == [False, False, True]
    limiter.refund("10.0.0.9", cost=50)
    assert [limiter.take("10.0.0.9") > 0 for _ in range(3)] == [False, False, True]


def test_a_refusal_says_when_the_next_one_is_taken(clock: Clock) -> None:
    limiter = RateLimiter(Rate(burst=1, per_minute=60), clock=clock)
    assert limiter.take("10.0.0.1") == 0.0
    assert [limiter.take("10.0.0.1") for _ in range(2)] == [pytest.approx(1)] * 2


def test_sources_are_forgotten_from_the_one_that_was_silent_longest(clock: Clock) -> None:
    limiter = RateLimiter(Rate(burst=1, per_minute=1), max_sources=3, clock=clock)
    for number in range(1000):
        limiter.take(f"10.0.{number // 250}.{number % 250}")
    assert len(limiter) == 3
    assert limiter.take("10.0.3.249") > 0
    assert limiter.take("10.0.0.0") == 0.0


def test_a_clock_that_steps_back_gives_no_tokens(clock: Clock) -> None:
    limiter = RateLimiter(Rate(burst=1, per_minute=60), clock=clock)
    limiter.take("10.0.0.1")
    clock.now_s -= 50
    assert limiter.take("10.0.0.1") == pytest.approx(1)
    clock.now_s += 50.5
    assert limiter.take("10.0.0.1") == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::1"),
        ("::1", "::1"),
        ("", ""),
    ],
)
def test_one_sender_is_one_source_however_it_writes_its_address(address: str, key: str) -> None:
    assert source_key(address) == key


def test_a_rate_that_lets_nothing_pass_is_refused() -> None:
    for burst, per_minute in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="rate"):
            Rate(burst, per_minute)
