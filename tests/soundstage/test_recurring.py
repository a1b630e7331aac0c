"""What looks again and again goes on looking, whatever one look raises."""

from __future__ import annotations

import asyncio

import pytest

from soundstage.errors import Upstream
from soundstage.recurring import Recurring


@pytest.mark.parametrize(
    "failure",
    [Upstream("machine.engine_unreachable", "Nomad is away.", "Wait."), KeyError("ID")],
    ids=["expected", "unexpected"],
)
async def test_a_look_that_fails_is_followed_by_the_next(failure: Exception) -> None:
    looks = 0
    again = asyncio.Event()

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise failure
        again.set()

    recurring = Recurring("something", look, every_s=0.01)
    await recurring.start()
    try:
        await asyncio.wait_for(again.wait(), 60)
    finally:
        await recurring.close()


@pytest.mark.parametrize("rounds", range(6))
async def test_one_that_is_woken_as_it_closes_closes(rounds: int) -> None:
    """`asyncio.wait_for` of Python 3.11 forgets that it was cancelled when what it waits for comes at that
    moment; what it then waits for next never comes.
    """
    looks = asyncio.Event()

    async def look() -> None:
        looks.set()

    recurring = Recurring("something", look, every_s=60)
    await recurring.start()
    await looks.wait()
    await asyncio.sleep(0)
    recurring.wake()
    for _ in range(rounds):
        await asyncio.sleep(0)
    closing = asyncio.create_task(recurring.close())
    done, _ = await asyncio.wait({closing}, timeout=60)
    assert done
