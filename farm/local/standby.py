"""Keeps one worker process loaded and waiting for an order, for tasks that a person waits for.

Starting a worker takes a third of a second, most of it imports. A process is used once: tasks share no
memory. Called by `farm.local.scheduler`; the other end is `avatar.cli.standby`.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from farm.local.commands import worker_environment
from farm.local.process import WaitingWorker, start_worker
from soundstage.tasks import cancel_all

VERB = "standby"
READY = b"ready\n"
START_TIMEOUT_S = 30.0
IDLE_S = 600.0
"""A process that was not needed for so long ends, and its 60 MB are free."""


class Standby:
    """At most one waiting process of a program. `loads` names the libraries that it loads, as
    `avatar.cli.standby` has them.
    """

    def __init__(self, command: Sequence[str], niceness: int, *loads: str) -> None:
        self._command = tuple(command)
        self._loads = loads
        self._niceness = niceness
        self._waiting: WaitingWorker | None = None
        self._starting: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def is_starting(self) -> bool:
        """Returns whether a process has begun to load."""
        return self._starting is not None and not self._starting.done()

    @property
    def is_ready(self) -> bool:
        """Returns whether a process waits."""
        return self._waiting is not None

    def prepare(self) -> None:
        """Starts a process in the background, unless one waits or starts already."""
        self._end_later()
        if not self.is_ready and not self.is_starting:
            self._starting = asyncio.create_task(self._start())

    def take(self) -> WaitingWorker | None:
        """Returns the waiting process, which is the caller's from now on; None where there is none."""
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.process.returncode is not None:
            return None
        return waiting

    async def close(self) -> None:
        """Ends what waits or starts."""
        if self._idle is not None:
            self._idle.cancel()
        if self._starting is not None:
            await cancel_all([self._starting])
        await self._end()

    async def _start(self) -> None:
        """Starts a process and waits until it has loaded; a program that knows no orders just ends."""
        environment = worker_environment(Path(tempfile.gettempdir()))
        try:
            started = await start_worker(
                [*self._command, VERB, *self._loads],
                environment,
                self._niceness,
                stdin=asyncio.subprocess.PIPE,
            )
        except OSError:
            return
        process = started.process
        waiting = WaitingWorker(process, started.mark, len(self._command))
        line = b""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                if process.stdout is not None:
                    line = await process.stdout.readline()
        except TimeoutError:
            pass
        finally:
            if line == READY:
                self._waiting = waiting
            else:
                waiting.end()

    def _end_later(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(IDLE_S, lambda: loop.create_task(self._end()))

    async def _end(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.end()
            await waiting.process.wait()
