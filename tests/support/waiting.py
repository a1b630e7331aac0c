"""Waits for a condition instead of a time; for all tests."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], what: str = "it", within_s: float = 60, pause_s: float = 0.05) -> T:
    """Returns the first true answer of `check`; raises AssertionError when there is none in time."""
    deadline = time.monotonic() + within_s
    while not (answer := check()):
        assert time.monotonic() < deadline, f"waited {within_s:.0f} s in vain for {what}"
        time.sleep(pause_s)
    return answer


async def eventually_async(
    check: Callable[[], T | Awaitable[T]], what: str = "it", within_s: float = 60, pause_s: float = 0.02
) -> T:
    """Does the same in the event loop; `check` may be plain or async, and is cancelled when it hangs."""
    try:
        async with asyncio.timeout(within_s) as limit:
            while True:
                answer = check()
                if inspect.isawaitable(answer):
                    answer = await answer
                if answer:
                    return answer  # type: ignore[return-value]
                await asyncio.sleep(pause_s)
    except TimeoutError:
        if not limit.expired():
            raise
        raise AssertionError(f"waited {within_s:.0f} s in vain for {what}") from None
