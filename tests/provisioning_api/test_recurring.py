"""What looks again and again goes on looking, whatever one look raises."""

from __future__ import annotations

import asyncio

import pytest

from provisioning_api.recurring import Recurring
from soundstage.errors import Upstream


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
