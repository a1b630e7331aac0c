"""Workers for voices, beside those that make videos; used by the composition root.

A video may take all workers for minutes, and nobody waits that long for an answer in a conversation.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

from app.farm_choice import Farm, local_options
from farm.local import LocalScheduler
from farm.scheduler import Scheduler
from soundstage.blobs import BlobStore
from soundstage.settings import Settings

AT_ONCE = 2


def voice_lane(settings: Settings, blobs: BlobStore, farm: Farm) -> Scheduler:
    """Worker processes on this machine; where there is no worker program and a farm has some, the farm."""
    options = local_options(settings)
    if farm.transfer is not None and shutil.which(options.command[0]) is None:
        return farm.scheduler
    work_dir = settings.state_dir.absolute() / "work-voice"
    return LocalScheduler(blobs, replace(options, work_dir=work_dir, concurrency=AT_ONCE, niceness=0))


def voice_program(settings: Settings, lane: Scheduler) -> str | None:
    """The program that must be on this machine for it; None where the farm has it."""
    return local_options(settings).command[0] if isinstance(lane, LocalScheduler) else None
