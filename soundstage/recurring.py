"""Looks at something again and again while the process is up; the wiring starts and ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger
from soundstage.waiting import until_set


class Recurring:
    """`look` is awaited every `every_s` seconds, and soon after `wake`. What it raises is logged, and it is
    tried again.
    """

    def __init__(self, name: str, look: Callable[[], Awaitable[object]], every_s: float) -> None:
        self.name = name
        self.look = look
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None
        self._awake = asyncio.Event()
        self._log = get_logger(__name__)

    def wake(self) -> None:
        """There is something to look at now."""
        self._awake.set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._go_on(), name=self.name)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _go_on(self) -> None:
        while True:
            try:
                await self.look()
            except (SoundstageError, OSError) as error:
                self._log.warning("cannot be looked at for now", what=self.name, reason=str(error))
            except Exception:
                # A fault of ours, or an answer that nobody expected, must not end it until the next restart.
                self._log.exception("looking at it failed", what=self.name)
            await until_set(self._awake, self._every_s)
            self._awake.clear()
