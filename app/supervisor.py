"""`soundstage up`: keeps the server process running, and ends it in good order on SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from soundstage.errors import Unavailable
from soundstage.telemetry import get_logger

GRACE_S = 20.0
QUICK_DEATH_S = 10.0
MAX_QUICK_DEATHS = 5
READY_S = 60.0


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """How the server is started, and the URL under which it answers once it is ready."""

    command: Sequence[str]
    health_url: str


class Supervisor:
    """One child process. It is started again when it dies, with a pause that grows, and not for ever.

    The child's standard input is a pipe that we hold: when we are gone, even by kill -9, it reads the end of
    it and stops.
    """

    def __init__(self, server: ServerProcess, *, on_ready: Callable[[], None]) -> None:
        self._server = server
        self._on_ready = on_ready
        self._log = get_logger("app.supervisor")

    async def run(self) -> None:
        """Until cancelled. Raises `server.keeps_failing` when the server cannot be kept up."""
        quick_deaths = 0
        announced = False
        while True:
            started = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                *self._server.command, stdin=asyncio.subprocess.PIPE
            )
            try:
                ready = asyncio.create_task(self._ready())
                ended = asyncio.create_task(process.wait())
                await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
                if ready.done() and not ended.done() and not announced:
                    announced = True
                    self._on_ready()
                ready.cancel()
                code = await ended
            finally:
                await self._stop(process)
            quick_deaths = quick_deaths + 1 if time.monotonic() - started < QUICK_DEATH_S else 0
            if quick_deaths >= MAX_QUICK_DEATHS or (not announced and code != 0):
                raise Unavailable(
                    "server.keeps_failing",
                    f"The server process ended with code {code}.",
                    hint="Read the lines above; `soundstage doctor` looks for the usual causes.",
                )
            self._log.warning("server ended, starting again", code=code)
            await asyncio.sleep(min(2**quick_deaths, 30))

    async def _ready(self) -> None:
        deadline = time.monotonic() + READY_S
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            while time.monotonic() < deadline:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(self._server.health_url)).is_success:
                        return
                await asyncio.sleep(0.1)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(process.wait()), GRACE_S)
        except TimeoutError:
            self._log.error("server did not stop in time, killing it", grace_s=GRACE_S)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def server_command(config_file: str | None) -> list[str]:
    options = ["--config-file", config_file] if config_file else []
    return [sys.executable, "-m", "app.server", "--stop-with-stdin", *options]
