"""Builds a folder atomically, one builder at a time; used for everything expensive that images and labs
keep in the user's cache.

A maker that is killed may leave file systems mounted in what it has half made (mmdebstrap mounts /proc, /sys
and /dev): they are unmounted before anything below them is deleted.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pxe.image.programs import run_tool
from soundstage.errors import Unavailable

# A folder in use was requested at most so long ago.
_IN_USE_S = 3600.0


def build_once(target: Path, make: Callable[[Path], None]) -> Path:
    """Returns `target`, built by `make(staging folder)` when it is missing.

    `make` may put other files beside its staging folder; they are removed.
    """
    with _alone(target) as lock:
        os.utime(lock)
        if not target.exists():
            _build(target, make)
    return target


def rebuild(target: Path, make: Callable[[Path], None]) -> Path:
    """Builds `target` again and replaces it; the old one stays when `make` fails."""
    with _alone(target):
        _build(target, make)
    return target


def forget_unused(folder: Path, *, keep: int) -> list[str]:
    """Deletes folders of `build_once`, but for the `keep` last used and those in use; returns their names."""
    found = sorted((one for one in folder.glob("*") if one.is_dir()), key=_last_used, reverse=True)
    gone = []
    for target in found[keep:]:
        with _alone(target):
            if time.time() - _last_used(target) < _IN_USE_S:
                continue
            clear_away(target)
        gone.append(target.name)
    return gone


def clear_away(folder: Path) -> None:
    """Deletes a folder and nothing else. Unavailable when something mounted there does not come off."""
    _unmount_below(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _build(target: Path, make: Callable[[Path], None]) -> None:
    work = target.with_name(f".making-{target.name}")
    # Left by a killed process: we hold the lock, so no process writes it.
    clear_away(work)
    staging = work / "made"
    try:
        work.mkdir(mode=0o700)
        staging.mkdir()
        make(staging)
        staging.chmod(0o755)
        if target.exists():
            clear_away(target)
        staging.rename(target)
    finally:
        clear_away(work)


def _unmount_below(folder: Path) -> None:
    for place in reversed(_mounts_below(folder)):
        run_tool(["umount", "--lazy", place], doing="Unmounting")
    if left := _mounts_below(folder):
        raise Unavailable(
            "image.still_mounted",
            f"{left[0]} is mounted, so {folder} cannot be deleted.",
            "Unmount it, then try again.",
        )


def _mounts_below(folder: Path) -> list[str]:
    """The outermost first."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    real = os.path.realpath(folder)
    return [one for one in places if one == real or one.startswith(f"{real}/")]


def _lock_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.lock")


def _last_used(target: Path) -> float:
    """Returns when the folder was last used, by its lock, in seconds since 1970."""
    for path in (_lock_of(target), target):
        with suppress(FileNotFoundError):
            return path.stat().st_mtime
    return 0.0


@contextmanager
def _alone(target: Path) -> Iterator[Path]:
    lock = _lock_of(target)
    lock.parent.mkdir(parents=True, exist_ok=True)
    # Not `w`, which would make it new: its age says when the folder was asked for.
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield lock


def cache_folder() -> Path:
    """May be deleted at any time; everything in it can be made anew."""
    return folder_of_cache("images", "SOUNDSTAGE_IMAGE_CACHE")


def folder_of_cache(name: str, variable: str) -> Path:
    """Returns the folder that an environment variable names, or the one of the user's cache."""
    if chosen := os.environ.get(variable):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "soundstage" / name
