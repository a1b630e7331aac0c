"""`map_in_order` keeps order, holds little, and stops cleanly."""

import threading
import time
from contextlib import closing

import pytest
from avatar.pipeline.frames import map_in_order


def test_results_come_in_the_order_of_the_items():
    def slow_for_even(number: int) -> int:
        time.sleep(0.004 if number % 2 == 0 else 0)
        return number * number

    assert list(map_in_order(slow_for_even, range(40))) == [n * n for n in range(40)]


def test_it_works_in_several_threads_but_reads_items_in_the_callers():
    readers, workers = set(), set()

    def items():
        for number in range(20):
            readers.add(threading.get_ident())
            yield number

    def work(number: int) -> int:
        workers.add(threading.get_ident())
        time.sleep(0.002)
        return number

    list(map_in_order(work, items(), workers=2))
    assert readers == {threading.get_ident()}
    assert len(workers) == 2
    assert threading.get_ident() not in workers


def test_it_never_runs_further_ahead_than_its_depth():
    begun = 0

    def items():
        nonlocal begun
        for number in range(50):
            begun += 1
            yield number

    for taken, _ in enumerate(map_in_order(lambda n: n, items(), depth=4), start=1):
        assert begun <= taken + 4


def test_an_error_comes_out_where_its_result_would_have_come():
    def fail_at_three(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    seen = []
    with pytest.raises(ValueError, match="three"):
        for result in map_in_order(fail_at_three, range(10)):
            seen.append(result)
    assert seen == [0, 1, 2]


def test_no_thread_outlives_an_iterator_that_is_closed_early():
    before = threading.active_count()
    results = map_in_order(lambda n: time.sleep(0.01) or n, range(1000))
    with closing(results):
        assert next(results) == 0
    assert threading.active_count() == before


def test_the_first_result_waits_for_no_full_queue():
    begun = []

    def items():
        for n in range(40):
            begun.append(n)
            yield n

    with closing(map_in_order(lambda n: n, items(), workers=2, depth=6)) as results:
        next(results)
        assert len(begun) == 2
        for _ in range(10):
            next(results)
        assert len(begun) == 16
