"""Keeps the voice worker running beside the server; called by `soundstage up`."""

from __future__ import annotations

import asyncio
import time
from importlib.util import find_spec
from pathlib import Path

from app.server.supervisor import MIN_UPTIME_S, stop_process, voice_worker_command
from soundstage.backoff import Backoff
from soundstage.settings import Settings
from soundstage.telemetry import get_logger

RESTART = Backoff(first_s=2.0, longest_s=60.0, jitter=(1.0, 1.0))
GRACE_S = 5.0
NEEDED = ("pipecat", "pocketsphinx")


async def run_voice_worker(settings: Settings, config_file: Path | None, server_url: str) -> None:
    """Runs the worker until cancelled, where it is enabled and installed; restarts it when it ends.

    A worker that cannot run leaves the server as it is: opening a voice session says what is missing.
    """
    if not settings.voice.enabled or not all(map(find_spec, NEEDED)):
        return
    failures = 0
    while True:
        started = time.monotonic()
        code = await _run_once(config_file, server_url)
        failures = failures + 1 if time.monotonic() - started < MIN_UPTIME_S else 1
        get_logger(__name__).warning("voice worker ended, starting again", code=code)
        await asyncio.sleep(RESTART.delay_s(failures))


async def _run_once(config_file: Path | None, server_url: str) -> int:
    # Its standard input is a pipe that we hold: it ends with us, even after kill -9.
    process = await asyncio.create_subprocess_exec(
        *voice_worker_command(config_file, server_url), stdin=asyncio.subprocess.PIPE
    )
    try:
        return await process.wait()
    finally:
        await stop_process(process, "voice worker", GRACE_S)
