"""Runs coroutines of the scheduler in the background until they end or all are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from soundstage.telemetry import get_logger

log = get_logger(__name__)


class BackgroundTasks:
    """Logs an exception of one task and lets the others go on (asyncio.TaskGroup would cancel them)."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        # Held here, for the event loop holds tasks only weakly.
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def cancel_all(self) -> None:
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("farm.nomad.fault", exc_info=error)
