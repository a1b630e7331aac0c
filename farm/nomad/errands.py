"""What a scheduler has going on: each errand ends by itself, or when all are called off."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from soundstage.telemetry import get_logger

log = get_logger(__name__)


class Errands:
    """A fault in one is logged and ends that one only."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        # Held here, for the event loop holds tasks only weakly.
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def call_off(self) -> None:
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("farm.nomad.fault", exc_info=error)
