"""One worker process from start to end: own process group, time limit, stop, and nothing left of it
afterwards.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from farm.local import launch, orphans
from farm.local.standby import WaitingWorker
from farm.worker_output import LogTail, collect, read_lines

EndedBy = Literal["itself", "cancel", "time_limit"]

POLL_S = 0.05
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
    started = waiting or await _start(command, folder, environment, limits)
    process, mark = started.process, started.mark
    known = orphans.WorkerRecord(process.pid, orphans.start_time(process.pid) or "", mark)
    readers = [
        asyncio.create_task(_read_lines(process, on_line)),
        asyncio.create_task(_read_log(process, log)),
    ]
    try:
        orphans.write_record(record, known)
        if waiting is not None:
            await waiting.order(command[waiting.program_words :], folder, {**environment, orphans.MARK: mark})
        ended_by = await _until_end(process, limits, stop)
    finally:
        if process.returncode is None:
            _signal_group(process, signal.SIGKILL)
        await _drain(readers, known)
    return ProcessEnd(process.returncode if process.returncode is not None else -signal.SIGKILL, ended_by)


async def _start(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], limits: ProcessLimits
) -> WaitingWorker:
    mark = secrets.token_hex(16)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(limits.niceness), *command,
        cwd=folder,
        env={**environment, orphans.MARK: mark},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    return WaitingWorker(process, mark, len(command))


async def _read_lines(process: asyncio.subprocess.Process, on_line: Callable[[bytes], None]) -> None:
    if process.stdout is not None:
        async for line in read_lines(process.stdout):
            on_line(line)


async def _read_log(process: asyncio.subprocess.Process, log: LogTail) -> None:
    if process.stderr is not None:
        await collect(process.stderr, log)


async def _until_end(
    process: asyncio.subprocess.Process, limits: ProcessLimits, stop: asyncio.Event
) -> EndedBy:
    deadline = time.monotonic() + limits.time_limit_s
    while True:
        if process.returncode is not None:
            return "itself"
        if stop.is_set():
            await _terminate(process, limits.grace_s)
            return "cancel"
        if time.monotonic() >= deadline:
            await _terminate(process, limits.grace_s)
            return "time_limit"
        await asyncio.sleep(POLL_S)


async def _terminate(process: asyncio.subprocess.Process, grace_s: float) -> None:
    """SIGTERM to the whole group, and SIGKILL to what does not go within the grace time."""
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
