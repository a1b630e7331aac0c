"""Finds the worker program, of the settings, of this checkout, or of PATH, and runs it for commands."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from soundstage.errors import Unavailable
from soundstage.settings import Settings

PROGRAM = "avatar"
CHECKOUT_WORKER = Path("avatar/.venv/bin/avatar")


def worker_command(settings: Settings) -> tuple[str, ...]:
    """The command as it is started; without a worker the bare name, so that starting it tells."""
    if settings.worker.command:
        return settings.worker.command
    beside = Path(__file__).resolve().parent.parent / CHECKOUT_WORKER
    if beside.is_file():
        return (str(beside),)
    found = shutil.which(PROGRAM)
    return (found or PROGRAM,)


def run_worker(
    settings: Settings, *arguments: str, output: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Runs it to its end; `output` is where it prints, as `subprocess` has it. A signal to stop goes to the
    worker, which ends in order. Raises `worker.not_found`.
    """
    command = worker_command(settings)
    before: dict[int, Any] = {}
    try:
        with subprocess.Popen([*command, *arguments], stdout=output) as process:
            for stop in (signal.SIGINT, signal.SIGTERM):
                before[stop] = signal.signal(stop, lambda number, _: process.send_signal(number))
            printed, _ = process.communicate()
            return subprocess.CompletedProcess(process.args, process.returncode, printed)
    except OSError as error:
        raise Unavailable(
            "worker.not_found",
            f"The worker {command[0]} does not start: {error.strerror}.",
            "Run `make setup`, or set worker.command; `soundstage doctor` tells more.",
        ) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
