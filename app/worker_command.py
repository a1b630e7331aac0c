"""Finds the worker program: of the settings, of this checkout, or of PATH."""

from __future__ import annotations

import shutil
from pathlib import Path

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
