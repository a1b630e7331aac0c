"""Pauses between tries: they grow and differ, so that many who failed together do not come back together."""

from __future__ import annotations

import asyncio
import random


class Backoff:
    """`await pause()` after a failure, `reset()` after a success."""

    def __init__(self, first_s: float = 0.25, longest_s: float = 15.0) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def reset(self) -> None:
        self._next_s = self._first_s

    async def pause(self) -> None:
        await asyncio.sleep(self._next_s * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        self._next_s = min(self._next_s * 2, self._longest_s)
