"""The voice worker process: `python -m app.voice_worker`, started and watched by `soundstage up`.

It hears and speaks for the persons of one server. On other machines `soundstage voice worker` starts it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.voice.worker_token import worker_token
from app.server.supervisor import stdin_eof
from app.worker_command import worker_command
from soundstage.errors import Invalid, SoundstageError
from soundstage.settings import load_settings
from soundstage.tasks import cancel_all
from soundstage.telemetry import configure_service_logging, get_logger

TOKEN = "SOUNDSTAGE_VOICE_WORKER_TOKEN"  # noqa: S105


def main() -> int:
    parser = argparse.ArgumentParser(prog="soundstage-voice-worker")
    parser.add_argument("--config-file", type=Path)
    parser.add_argument("--server-url", required=True)
    parser.add_argument("--alone", action="store_true", help="do not watch standard input; signals end it")
    parser.add_argument("--token-file", type=Path, help=f"the server's token; else {TOKEN}")
    options = parser.parse_args()
    # Not a setting, though it is named like one: settings would refuse it.
    token = os.environ.pop(TOKEN, "")
    settings = load_settings(options.config_file)
    configure_service_logging(settings, "voice")
    try:
        if options.token_file is not None:
            token = options.token_file.read_text(encoding="ascii").strip()
        token = token or worker_token(settings.state_dir)
        drawing = worker_command(settings)
        asyncio.run(work(options.server_url, token, drawing, alone=options.alone))
    except SoundstageError as error:
        get_logger(__name__).error("voice.failed", code=error.code, message=error.message, hint=error.hint)
        return 1
    except OSError as error:
        get_logger(__name__).error("voice.no_token", error=str(error), hint=f"Set {TOKEN}, or state_dir.")
        return 1
    return 0


async def work(server_url: str, token: str, drawing: Sequence[str], *, alone: bool) -> None:
    """Serves until SIGTERM, SIGINT or the end of standard input. Raises `voice.not_installed`."""
    try:
        import pocketsphinx  # noqa: F401
        from loguru import logger

        from agent.voice.worker.service import VoiceWorker
    except ImportError as error:
        raise Invalid(
            "voice.not_installed",
            f"The voice worker lacks {error.name}.",
            "Run `uv sync --inexact --extra voice`.",
        ) from error
    # pipecat's own log has a line for each frame processor of each session.
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    serving = asyncio.create_task(VoiceWorker(server_url, token, drawing).run())
    watching: list[asyncio.Task[Any]] = [asyncio.create_task(ended.wait())]
    if not alone:
        watching.append(asyncio.create_task(stdin_eof()))
    try:
        await asyncio.wait([serving, *watching], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_all([*watching, serving])
    if not serving.cancelled():
        serving.result()


if __name__ == "__main__":
    sys.exit(main())
