"""Tests wait for a condition, and fail with its name when it does not come true."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from waiting import eventually, eventually_async


def answers(*items: object) -> Iterator[object]:
    yield from items


def test_the_first_true_answer_is_returned() -> None:
    values = answers(0, "", 7, 8)
    assert eventually(lambda: next(values), pause_s=0) == 7


def test_a_condition_that_stays_false_fails_with_its_name() -> None:
    with pytest.raises(AssertionError, match=r"in vain for the moon"):
        eventually(lambda: False, "the moon", within_s=0.05, pause_s=0.01)


async def test_plain_and_async_conditions_are_awaited() -> None:
    values = answers(None, 3, 0, 4)

    async def check() -> object:
        return next(values)

    assert await eventually_async(lambda: next(values), pause_s=0) == 3
    assert await eventually_async(check, pause_s=0) == 4


async def test_a_check_that_hangs_is_cancelled_in_time() -> None:
    with pytest.raises(AssertionError, match=r"in vain for an answer"):
        await eventually_async(lambda: asyncio.sleep(60, True), "an answer", within_s=0.05)


async def test_a_check_that_times_out_by_itself_is_not_taken_for_the_end_of_the_wait() -> None:
    async def check() -> bool:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await eventually_async(check)
