"""Keeps the voice worker running beside the server; called by `soundstage up`."""

from __future__ import annotations

import asyncio
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from app.server.supervisor import HELPER_GRACE_S, keep_running, stop_process, voice_worker_command
from soundstage.settings import Settings

NEEDED = ("pipecat", "pocketsphinx")


async def run_voice_worker(settings: Settings, config_file: Path | None, server_url: str) -> None:
    """Runs the worker until cancelled, where it is enabled and installed; restarts it when it ends.

    A worker that cannot run leaves the server as it is: opening a voice session says what is missing.
    """
    if not settings.voice.enabled or not all(map(find_spec, NEEDED)):
        return
    await keep_running("voice worker", partial(_run_once, config_file, server_url))


async def _run_once(config_file: Path | None, server_url: str) -> int:
    # Its standard input is a pipe that we hold: it ends with us, even after kill -9.
    process = await asyncio.create_subprocess_exec(
        *voice_worker_command(config_file, server_url), stdin=asyncio.subprocess.PIPE
    )
    try:
        return await process.wait()
    finally:
        await stop_process(process, "voice worker", HELPER_GRACE_S)
