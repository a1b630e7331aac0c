"""The small rules beside the lease table: block-list, back-off, measured peaks."""

from __future__ import annotations

import pytest

from farm.placement import BlockList, Peaks, Retries

HOUR = 3600.0


def test_three_failures_in_a_row_block_a_node_for_that_engine_only() -> None:
    blocks = BlockList()
    assert blocks.record_failure("g1", "lips", 0) is None
    assert blocks.record_failure("g1", "lips", 60) is None
    entry = blocks.record_failure("g1", "lips", 120)
    assert entry is not None and entry.failures == 3
    assert blocks.nodes("lips", 130) == {"g1"}
    assert blocks.nodes("portrait", 130) == frozenset()


def test_a_block_runs_out_and_old_failures_are_forgotten() -> None:
    blocks = BlockList()
    for at_s in (0, 1, 2):
        entry = blocks.record_failure("g1", "lips", at_s)
    assert entry is not None and 0.5 * HOUR < entry.until_s < HOUR
    assert blocks.nodes("lips", entry.until_s) == frozenset()
    again = blocks.record_failure("g1", "lips", entry.until_s + 8 * HOUR)
    assert again is None
    blocks.forget_old(entry.until_s + 24 * HOUR)
    assert blocks.find_avoided("g1", "lips", entry.until_s + 24 * HOUR) is None


def test_failures_hours_apart_never_block() -> None:
    blocks = BlockList()
    assert all(blocks.record_failure("g1", "lips", n * 2 * HOUR) is None for n in range(20))


def test_a_node_that_fails_at_once_after_its_time_is_avoided_again_and_for_longer() -> None:
    blocks = BlockList()
    for _ in range(3):
        first = blocks.record_failure("g1", "lips", 0)
    assert first is not None
    blocks.record_failure("g1", "lips", first.until_s)
    second = blocks.record_failure("g1", "lips", first.until_s + 1)
    assert second is not None and second.failures == 5


def test_work_that_began_before_the_block_does_not_lengthen_it() -> None:
    blocks = BlockList()
    first = blocks.record_failure("g1", "lips", 0, certain=True)
    assert first is not None and first.until_s < HOUR / 2
    assert [blocks.record_failure("g1", "lips", at_s, certain=True) for at_s in (1, 2, 3)] == [first] * 3
    blocks.clear_node("g1")
    assert blocks.nodes("lips", 4) == frozenset()


def test_a_success_forgives_and_late_news_do_not_turn_the_time_back() -> None:
    blocks = BlockList()
    for at_s in (100, 101, 40):
        entry = blocks.record_failure("g1", "lips", at_s)
    assert entry is not None and entry.until_s > 101 + HOUR / 2 * 1.58
    blocks.record_success("g1", "lips")
    blocks.record_success("g1", "lips")
    assert blocks.nodes("lips", 102) == frozenset()


def test_waits_grow_differ_between_tasks_and_are_the_same_when_asked_again() -> None:
    retries = Retries(base_s=2, cap_s=30, attempts=100, seed=7)
    waits = [
        [retries.wait_s(f"t{task}", failures) for task in range(400)] for failures in (1, 2, 3, 4, 5, 60)
    ]
    for ceiling, drawn in zip((2, 4, 8, 16, 30, 30), waits, strict=True):
        numbers = [wait for wait in drawn if wait is not None]
        assert len(set(numbers)) == 400
        assert 0 <= min(numbers) < 0.05 * ceiling
        assert 0.95 * ceiling < max(numbers) <= ceiling
        assert sum(numbers) / 400 == pytest.approx(ceiling / 2, rel=0.1)
    assert retries.wait_s("t1", 3) == waits[2][1]
    assert Retries(base_s=2, cap_s=30, seed=8).wait_s("t1", 3) != waits[2][1]
    assert retries.backoff.ceiling_s(10_000) == 30


def test_after_the_last_attempt_there_is_no_next_one() -> None:
    assert Retries(attempts=3).wait_s("t", 2) is not None
    assert Retries(attempts=3).wait_s("t", 3) is None


def test_measured_memory_raises_what_was_declared_and_never_lowers_it() -> None:
    peaks = Peaks()
    assert peaks.need_mib("lips", 5000) == 5000
    peaks.record_peak("lips", 3400)
    assert peaks.need_mib("lips", 5000) == 5000
    peaks.record_peak("lips", 5400)
    assert peaks.need_mib("lips", 5000) == 6 * 1024
    peaks.record_out_of_memory("lips", 6144)
    assert peaks.need_mib("lips", 5000) == 8 * 1024
    assert peaks.need_mib("other", 0) == 0
