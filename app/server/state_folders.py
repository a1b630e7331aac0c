"""Keeps the state folder to the user who runs the process; called at the start of both processes."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from soundstage.settings import Settings
from soundstage.telemetry import get_logger

PRIVATE = 0o700
SEARCHABLE = 0o711
"""Others may reach files by their full path: where a web server delivers `provisioning.artefact_dir`."""


def secure_state_folders(settings: Settings) -> list[Path]:
    """Make the state folder and its folders private, and return those that others could have read.

    Folders of another user are left alone: their owner decides. So is the folder of the artefacts where the
    setting `provisioning.artefact_dir` names it, because web servers read there.
    """
    state = settings.state_dir.absolute()
    state.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
    published = settings.provisioning.artefact_dir
    published = None if published is None else published.absolute()
    was_private = stat.S_IMODE(state.stat().st_mode) == PRIVATE
    folders = (state, *_folders(state), *_folders(state / "provisioning"))
    narrowed = [folder for folder in folders if folder != published and _narrow(folder, published)]
    return [] if was_private else narrowed


def log_repaired(folders: Sequence[Path]) -> None:
    """Name the folders that others on this machine could read until now."""
    if folders:
        get_logger(__name__).warning(
            "state folders were open to other users; made private",
            folders=[str(folder) for folder in folders],
        )


def _folders(folder: Path) -> list[Path]:
    try:
        return [Path(entry) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _narrow(folder: Path, published: Path | None) -> bool:
    found = folder.stat()
    leads_there = published is not None and published.is_relative_to(folder)
    mode = stat.S_IMODE(found.st_mode)
    allowed = mode & (SEARCHABLE if leads_there else PRIVATE)
    if found.st_uid != os.geteuid() or mode == allowed:
        return False
    folder.chmod(allowed)
    return True
