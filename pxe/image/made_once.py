"""Makes a folder whole or not at all, one maker at a time; used for everything expensive that images and labs
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

# Whoever uses a folder has asked for it at most so long ago.
_IN_USE_S = 3600.0


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """`target`, made by `make(staging folder)` when it is not there. What `make` needs beside its staging
    folder may lie next to that, and is cleared away.
    """
    with _alone(target) as lock:
        os.utime(lock)
        if not target.exists():
            _made(target, make)
    return target


def made_anew(target: Path, make: Callable[[Path], None]) -> Path:
    """As `made_once`, in place of what is there; that stays when `make` fails."""
    with _alone(target):
        _made(target, make)
    return target


def forget_unused(folder: Path, pattern: str, *, keep: int) -> list[str]:
    """Of the folders that `made_once` has made here, the `keep` that were asked for last stay, and all that
    may still be in use; the names that went.
    """
    found = sorted((one for one in folder.glob(pattern) if one.is_dir()), key=_asked_for, reverse=True)
    gone = []
    for target in found[keep:]:
        with _alone(target):
            if time.time() - _asked_for(target) < _IN_USE_S:
                continue
            clear_away(target)
        gone.append(target.name)
    return gone


def clear_away(folder: Path) -> None:
    """Deletes a folder and nothing else. Unavailable when something mounted there does not come off."""
    _unmount_below(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _made(target: Path, make: Callable[[Path], None]) -> None:
    work = target.with_name(f".making-{target.name}")
    # Left by a maker that was killed: the lock is ours, so nobody is at it.
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


def _asked_for(target: Path) -> float:
    """When somebody last asked for it, as its lock tells; seconds since 1970."""
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
