"""One worker process from start to end: own process group, time limit, stop, and nothing left of it
afterwards.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from farm.local import launch, orphans
from farm.worker_output import LogTail, collect, read_lines

EndedBy = Literal["itself", "cancel", "time_limit"]

POLL_S = 0.05
END_POLL_S = 0.002
"""Once its standard output has ended, for as long as a process takes to end after that."""
END_WITHIN_S = 1.0
DRAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """The end of a process. `returncode` is negative for a signal, as in subprocess."""

    returncode: int
    ended_by: EndedBy


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """`grace_s` is the time between SIGTERM and SIGKILL."""

    time_limit_s: float
    grace_s: float = 5.0
    niceness: int = 5


@dataclass(frozen=True, slots=True)
class StartedWorker:
    """A process that has started, and the mark by which its group is found."""

    process: asyncio.subprocess.Process
    mark: str


async def start_worker(
    command: Sequence[str],
    environment: Mapping[str, str],
    niceness: int,
    folder: Path | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
) -> StartedWorker:
    """Starts a worker in a process group of its own, which ends with ours."""
    mark = secrets.token_hex(16)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(niceness), *command,
        cwd=folder,
        env={**environment, orphans.MARK: mark},
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    return StartedWorker(process, mark)


@dataclass(frozen=True, slots=True)
class WaitingWorker(StartedWorker):
    """A worker that has loaded and waits for its order (`farm.local.standby`). The first `program_words` of a
    command are what it runs already.
    """

    program_words: int

    async def order(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Gives it the arguments, working directory and environment that a new process would have got."""
        variables = {**environment, orphans.MARK: self.mark}
        order = {"arguments": command[self.program_words :], "folder": str(folder), "environment": variables}
        if self.process.stdin is not None:
            with suppress(ConnectionError):
                self.process.stdin.write(json.dumps(order).encode() + b"\n")
                await self.process.stdin.drain()
            self.process.stdin.close()

    def end(self) -> None:
        """Kills it with its group."""
        _signal_group(self.process, signal.SIGKILL)


async def run_process(
    command: Sequence[str],
    *,
    folder: Path,
    record: Path,
    environment: Mapping[str, str],
    limits: ProcessLimits,
    stop: asyncio.Event,
    on_line: Callable[[bytes], None],
    log: LogTail,
    waiting: WaitingWorker | None = None,
) -> ProcessEnd:
    """Runs `command` in `folder` until it ends, `stop` is set or time is up; `record` names it for a later
    clean-up.

    `waiting` is a process of the same program that waits for its order. If this coroutine is cancelled the
    process group is killed before the cancellation goes on.
    """
    started = waiting or await start_worker(command, environment, limits.niceness, folder)
    process, mark = started.process, started.mark
    known = orphans.WorkerRecord(process.pid, orphans.start_time(process.pid) or "", mark)
    readers = [
        asyncio.create_task(_read_lines(process, on_line)),
        asyncio.create_task(_read_log(process, log)),
    ]
    try:
        orphans.write_record(record, known)
        if waiting is not None:
            await waiting.order(command, folder, environment)
        ended_by = await _until_end(process, readers[0], limits, stop)
    finally:
        if process.returncode is None:
            _signal_group(process, signal.SIGKILL)
        await _drain(readers, known)
    return ProcessEnd(process.returncode if process.returncode is not None else -signal.SIGKILL, ended_by)


async def _read_lines(process: asyncio.subprocess.Process, on_line: Callable[[bytes], None]) -> None:
    if process.stdout is not None:
        async for line in read_lines(process.stdout):
            on_line(line)


async def _read_log(process: asyncio.subprocess.Process, log: LogTail) -> None:
    if process.stderr is not None:
        await collect(process.stderr, log)


async def _until_end(
    process: asyncio.subprocess.Process,
    output: asyncio.Task[None],
    limits: ProcessLimits,
    stop: asyncio.Event,
) -> EndedBy:
    """`output` ends with its standard output: then it ends itself, and somebody may wait for that."""
    deadline = time.monotonic() + limits.time_limit_s
    output_ended = None
    while True:
        if process.returncode is not None:
            return "itself"
        if stop.is_set():
            await terminate(process, limits.grace_s)
            return "cancel"
        if time.monotonic() >= deadline:
            await terminate(process, limits.grace_s)
            return "time_limit"
        if not output.done():
            await asyncio.wait([output], timeout=POLL_S)
            continue
        output_ended = output_ended or time.monotonic()
        is_ending = time.monotonic() - output_ended < END_WITHIN_S
        await asyncio.sleep(END_POLL_S if is_ending else POLL_S)


async def terminate(process: asyncio.subprocess.Process, grace_s: float) -> None:
    """Sends SIGTERM to the whole group of a process that `start_worker` has started, and SIGKILL to what does
    not go within the grace time.
    """
    _signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while process.returncode is None and time.monotonic() < deadline:  # noqa: ASYNC110 - see below
        await asyncio.sleep(POLL_S)
    if process.returncode is None:
        _signal_group(process, signal.SIGKILL)
    # Process.wait() is of no use here: in many Python versions it also waits for pipes that a grandchild
    # may hold open.
    while process.returncode is None:  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)


def _signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """The leader is not reaped while `returncode` is None, so its number is still the group's."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


async def _drain(readers: list[asyncio.Task[None]], known: orphans.WorkerRecord) -> None:
    """Reads what is left in the pipes; a grandchild that keeps them open is ended."""
    _, waiting = await asyncio.wait(readers, timeout=DRAIN_S)
    if waiting:
        orphans.end_processes(known)
        _, waiting = await asyncio.wait(waiting, timeout=DRAIN_S)
    for reader in waiting:
        reader.cancel()
    for outcome in await asyncio.gather(*readers, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
