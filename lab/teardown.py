"""Takes a lab down, however it was left: nothing is asked of the lab itself, all follows from its name."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lab.control_groups import end_lab
from lab.machines import stop_machine
from lab.network import remove_network
from lab.paths import LABS, LabPaths
from lab.plan import MachinePlan
from lab.programs import run_program
from soundstage.errors import SoundstageError, Unavailable

_NSPAWN = Path("/run/systemd/nspawn")


def take_down(lab: LabPaths) -> None:
    """Processes, mounts, control groups, network, files; in the order in which each frees the next."""
    folder = lab.folder / "machines"
    left = _what_nspawn_leaves(lab, [one.name for one in folder.iterdir()] if folder.exists() else [])
    end_lab(lab)
    _unmount_below(lab.folder)
    remove_network(lab)
    for path in left:
        with suppress(OSError):  # most are not there: only a machine that was killed leaves them
            path.rmdir() if path.is_dir() else path.unlink()
    if lab.folder.exists():
        shutil.rmtree(lab.folder)
    with suppress(OSError):  # other labs are there
        LABS.rmdir()


def remove_machine(lab: LabPaths, machine: MachinePlan) -> None:
    """Ends one machine and removes its disk; the lab stays."""
    stop_machine(lab, machine)
    left = _what_nspawn_leaves(lab, [machine.name])
    folder = lab.machine(machine.name).folder
    _unmount_below(folder)
    for path in left:
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
    shutil.rmtree(folder)


def _what_nspawn_leaves(lab: LabPaths, names: Sequence[str]) -> list[Path]:
    """Its traces of machines that it could not end in good order."""
    found: list[Path] = []
    for name in names:
        paths = lab.machine(name)
        found += [_NSPAWN / "propagate" / paths.id, _NSPAWN / "unix-export" / paths.id]
        if paths.root.exists():
            root = paths.root.stat()
            found.append(_NSPAWN / "locks" / f"inode-{root.st_dev:x}:{root.st_ino:x}")
    return found


def _unmount_below(folder: Path, timeout_s: float = 120) -> None:
    """Innermost first. A killed machine's namespaces may hold a mount for a moment longer."""
    until = time.monotonic() + timeout_s
    while True:
        mounted = [place for place in mount_points() if place.startswith(f"{folder}/")]
        if not mounted:
            return
        for place in reversed(mounted):
            with suppress(SoundstageError):
                run_program(["umount", place], doing="Unmounting")
        if mounted == [place for place in mount_points() if place.startswith(f"{folder}/")]:
            if time.monotonic() > until:
                raise Unavailable(
                    "lab.mount_busy",
                    f"A process still uses {mounted[-1]}.",
                    "`fuser -vm` shows who; then call `soundstage lab down` again.",
                )
            time.sleep(0.02)


def mount_points() -> list[str]:
    """All of this computer, in the order in which they were mounted."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line.split()[1].replace("\\040", " ") for line in lines]
