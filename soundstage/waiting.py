"""Waits for an event of asyncio, but not for ever."""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def until_set(event: asyncio.Event, most_s: float | None) -> None:
    """Until the event is set, or so many seconds are over; None waits as long as it takes.

    What `asyncio.wait_for` would do, which in Python 3.11 forgets a cancellation that comes with the event.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(most_s):
            await event.wait()
