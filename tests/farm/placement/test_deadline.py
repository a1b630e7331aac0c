"""Estimates from history, and what is said about a deadline."""

from __future__ import annotations

import math

import pytest
from farms import card, dice, node, request

from farm.placement import LeaseTable
from farm.placement.deadline import Forecast, Job, Verdict, forecast, places_for
from farm.placement.history import Estimate, History

MINUTE = 60.0


def clock(at_s: float) -> str:
    return f"{at_s / MINUTE:g}m"


def say(job: Job, places: list[float], deadline_min: float) -> Forecast:
    return forecast(job, places, 0, deadline_min * MINUTE, clock=clock)


def steps(number: int, likely_min: float, slow_min: float) -> list[Estimate]:
    return [Estimate(likely_min * MINUTE, slow_min * MINUTE)] * number


def test_an_estimate_is_the_median_and_is_not_moved_by_one_that_hung() -> None:
    history = History()
    for seconds in (10, 11, 12, 10, 11, 12, 4000):
        history.record_run("segment/portrait", 1, seconds)
    estimate = history.estimate("segment/portrait", 2)
    assert estimate is not None
    assert estimate.likely_s == 22
    assert 22 < estimate.slow_s < 30


def test_nobody_knows_what_never_ran_and_few_runs_are_not_trusted() -> None:
    history = History()
    history.record_run("a", 0, 5)
    assert history.estimate("a", 1) is None
    history.record_run("a", 1, 10)
    history.record_run("a", 1, 10)
    few = history.estimate("a", 1)
    assert few is not None and few.slow_s == pytest.approx(10 + 1.645 * 5)
    for _ in range(3):
        history.record_run("a", 1, 10)
    assert history.estimate("a", 1) == Estimate(10, 10)


def test_about_one_run_in_twenty_is_slower_than_slow() -> None:
    chance = dice(3)
    history = History()
    for _ in range(64):
        history.record_run("a", 1, chance.gauss(100, 10))
    estimate = history.estimate("a", 1)
    assert estimate is not None
    over = sum(chance.gauss(100, 10) > estimate.slow_s for _ in range(10_000)) / 10_000
    assert 0.01 < over < 0.12


def test_it_says_yes_only_when_slow_runs_are_in_time_too() -> None:
    job = Job(steps(4, 10, 15), Estimate(60, 120))
    assert say(job, [0, 0], 32).verdict is Verdict.YES
    assert say(job, [0, 0], 32).sentence == "ready at about 21m, by 32m even when slow; wanted by 32m"
    perhaps = say(job, [0, 0], 31)
    assert perhaps.verdict is Verdict.PERHAPS
    assert perhaps.sentence.startswith("may be late: ready at about 21m, but only by 32m when slow")
    assert say(job, [0, 0], 20).verdict is Verdict.NO


def test_a_no_says_what_would_do() -> None:
    text = say(Job(steps(12, 4, 5)), [0, 0], 15)
    assert text.verdict is Verdict.NO and text.places == 4
    assert text.sentence == (
        "cannot be ready by 15m: 12 scenes are ready at about 24m; 4 free places now would do (2 here)"
    )
    assert say(Job(steps(12, 4, 5)), [0] * 4, 15).likely_s <= 15 * MINUTE
    assert say(Job(steps(12, 4, 5)), [0] * 3, 15).likely_s > 15 * MINUTE


def test_a_no_that_nothing_can_change_says_so() -> None:
    text = say(Job(steps(3, 20, 30)), [0], 15)
    assert (text.verdict, text.places) == (Verdict.NO, None)
    assert text.sentence == (
        "cannot be ready by 15m: 3 scenes are ready at about 60m, "
        "and not before 20m with a place for each at once"
    )


def test_what_runs_before_and_what_is_busy_counts() -> None:
    assert say(Job(steps(1, 5, 5)), [0], 10).verdict is Verdict.YES
    assert say(Job(steps(1, 5, 5), ahead=steps(2, 5, 5)), [0], 10).verdict is Verdict.NO
    assert say(Job(steps(1, 5, 5)), [6 * MINUTE], 10).verdict is Verdict.NO
    assert math.isinf(say(Job(steps(1, 5, 5)), [], 10).likely_s)
    assert "nothing that could run it" in say(Job(steps(1, 5, 5)), [], 10).sentence


def test_an_unknown_step_makes_the_answer_unknown() -> None:
    text = say(Job([*steps(2, 1, 1), None]), [0], 1000)
    assert text.verdict is Verdict.UNKNOWN
    assert "1 step has never run here" in text.sentence


@pytest.mark.parametrize("seed", range(30))
def test_the_number_of_places_that_would_do_is_the_least(seed: int) -> None:
    chance = dice(seed)
    scenes = [Estimate(length, 2 * length) for length in (chance.randint(1, 50) for _ in range(20))]
    deadline_s = chance.randint(10, 600)
    text = forecast(Job(scenes), [0.0], 0, deadline_s, clock=clock)
    if text.places is None:
        return
    for number in range(1, 21):
        in_time = forecast(Job(scenes), [0.0] * number, 0, deadline_s, clock=clock).likely_s <= deadline_s
        assert in_time == (number >= text.places)


def test_places_are_read_off_the_book() -> None:
    table = LeaseTable([node("g1", card("a"), card("b")), node("g2", card("c"), shared=True)])
    assert table.grant(request("x", 6, expected_s=300)) is not None
    assert table.grant(request("y", 8, expected_s=100)) is not None
    assert table.grant(request("z", 8)) is not None
    before = len(table.leases)
    assert places_for(table, request("r", 3), 0) == [100, 300, 300]
    assert places_for(table, request("r", 3), 200) == [200, 300, 300]
    assert places_for(table, request("r", 3), 0, avoid=frozenset({"g2"})) == [100]
    assert places_for(table, request("r", 3), 0, maximum=2) == [100, 300]
    assert len(table.leases) == before
