"""`soundstage up`: keeps the server processes running, and ends them in good order on SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import uvicorn

from soundstage.backoff import Backoff
from soundstage.errors import Unavailable
from soundstage.http import open_client
from soundstage.tasks import wait_all
from soundstage.telemetry import get_logger

GRACE_S = 20.0
REQUESTS_GRACE_S = 10
"""For open requests of a server that ends; shorter than the grace of the process."""
MIN_UPTIME_S = 10.0
MAX_EARLY_EXITS = 5
READY_POLL_S = 0.1
log = get_logger("app.server.supervisor")
RESTART = Backoff(first_s=1.0, longest_s=30.0, jitter=(1.0, 1.0))
HELPER_RESTART = Backoff(first_s=2.0, longest_s=60.0, jitter=(1.0, 1.0))
HELPER_GRACE_S = 5.0


class Supervisor:
    """Runs one child process; restarts it with a growing back-off, gives up after MAX_EARLY_EXITS in a row.

    The child gets our listening sockets, so connections wait while it restarts. Its standard input is a pipe
    that we hold: when we are gone, even by kill -9, it reads the end of it and stops.
    `first_options` are added to the command until the child has answered once: its first start prints the
    first keys through a pipe.
    """

    def __init__(
        self,
        command: Sequence[str],
        descriptors: Sequence[int],
        url: str,
        *,
        on_ready: Callable[[], None],
        environment: Mapping[str, str] = MappingProxyType({}),
        first_options: Sequence[str] = (),
    ) -> None:
        self._command = list(command)
        self._first_options = tuple(first_options)
        self._descriptors = tuple(descriptors)
        self._environment = dict(environment)
        self._health_url = f"{url}/api/health"
        self._on_ready = on_ready
        self._was_ready = False

    async def run(self) -> None:
        """Runs until cancelled. Raises `server.keeps_failing` when the server cannot be kept up."""
        early_exits = 0
        while True:
            started = time.monotonic()
            code = await self._run_once()
            early_exits = early_exits + 1 if time.monotonic() - started < MIN_UPTIME_S else 0
            if early_exits >= MAX_EARLY_EXITS or not self._was_ready:
                raise Unavailable(
                    "server.keeps_failing",
                    f"The server process ended with code {code}.",
                    "Read the lines above; `soundstage doctor` looks for the usual causes.",
                )
            log.warning("server ended, starting again", code=code)
            await asyncio.sleep(RESTART.delay_s(early_exits + 1))

    async def _run_once(self) -> int:
        """Runs the child once; returns its exit code."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *(() if self._was_ready else self._first_options),
            stdin=asyncio.subprocess.PIPE,
            pass_fds=self._descriptors,
            env={**os.environ, **self._environment},
        )
        announcing = asyncio.create_task(self._announce_when_ready())
        try:
            return await process.wait()
        finally:
            announcing.cancel()
            await stop_process(process, "server")
            await wait_all([announcing])

    async def _announce_when_ready(self) -> None:
        """Calls `on_ready` at the first healthy answer: the socket accepts connections before the server."""
        async with open_client(timeout=60) as client:
            while not self._was_ready:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(self._health_url)).is_success:
                        self._was_ready = True
                        self._on_ready()
                        return
                await asyncio.sleep(READY_POLL_S)


async def keep_running(name: str, run_once: Callable[[], Awaitable[int]]) -> None:
    """Runs a program that the server can do without until cancelled; starts it again whenever it ends."""
    failures = 0
    while True:
        started = time.monotonic()
        code = await run_once()
        failures = failures + 1 if time.monotonic() - started < MIN_UPTIME_S else 1
        log.warning(f"{name} ended, starting again", code=code)
        await asyncio.sleep(HELPER_RESTART.delay_s(failures))


async def stop_process(process: asyncio.subprocess.Process, name: str, grace_s: float = GRACE_S) -> None:
    """Terminates a process, and kills it when it has not ended in time."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(grace_s):
            await process.wait()
    except TimeoutError:
        log.error(f"{name} did not stop in time, killing it", grace_s=grace_s)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def run_all(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Runs all until cancelled, or until one fails (a supervisor that gives up): then all end."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            # A second cancellation would cut through the wait for a process that is stopping.
            if not task.cancelling():
                task.cancel()
        await wait_all(tasks)


def server_command(
    module: str, config_file: Path | None, http_fd: int, tls_fd: int | None = None
) -> list[str]:
    sockets = ["--socket", str(http_fd), *([] if tls_fd is None else ["--tls-socket", str(tls_fd)])]
    return [sys.executable, "-m", module, *sockets, *_config(config_file)]


def _config(config_file: Path | None) -> list[str]:
    return ["--config-file", str(config_file)] if config_file else []


def voice_worker_command(config_file: Path | None, server_url: str) -> list[str]:
    return [sys.executable, "-m", "app.voice_worker", "--server-url", server_url, *_config(config_file)]


async def stdin_eof() -> None:
    """Returns at the end of standard input, which the supervisor holds open; runs in the child."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def exit_on_stdin_eof(*servers: uvicorn.Server) -> None:
    """Stops the servers at the end of standard input."""
    await stdin_eof()
    for server in servers:
        server.should_exit = True
