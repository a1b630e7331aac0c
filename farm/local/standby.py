"""Keeps one worker process loaded and waiting for an order, for tasks that a person waits for.

Starting a worker takes a third of a second, most of it imports. A process is used once: tasks share no
memory. Called by `farm.local.scheduler`; the other end is `avatar.cli.standby`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from farm.local import launch, orphans
from soundstage.tasks import cancel_all

VERB = "standby"
READY = b"ready\n"
START_TIMEOUT_S = 30.0
IDLE_S = 600.0
"""A process that was not needed for so long ends, and its 60 MB are free."""


@dataclass(frozen=True, slots=True)
class WaitingWorker:
    """A started process, the mark by which its group is found, and how many words of a command are its
    program.
    """

    process: asyncio.subprocess.Process
    mark: str
    program_words: int

    async def order(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Gives it its task: arguments, working directory and environment."""
        order = {"arguments": [*arguments], "folder": str(folder), "environment": dict(environment)}
        if self.process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                self.process.stdin.write(json.dumps(order).encode() + b"\n")
                await self.process.stdin.drain()
            self.process.stdin.close()

    def end(self) -> None:
        """Kills it with its group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Standby:
    """At most one waiting process of a program."""

    def __init__(self, command: Sequence[str], niceness: int) -> None:
        self._command = tuple(command)
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

    @property
    def process_id(self) -> int | None:
        """Returns the id of the process that waits."""
        return None if self._waiting is None else self._waiting.process.pid

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
        mark = secrets.token_hex(16)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(self._niceness),
                *self._command, VERB,
                env={**_plain_variables(), orphans.MARK: mark},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )  # fmt: skip
        except OSError:
            return
        started = WaitingWorker(process, mark, len(self._command))
        line = b""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                if process.stdout is not None:
                    line = await process.stdout.readline()
        except TimeoutError:
            pass
        finally:
            if line == READY:
                self._waiting = started
            else:
                started.end()

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


def _plain_variables() -> dict[str, str]:
    """Returns what a program needs to start; its order brings the rest."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
