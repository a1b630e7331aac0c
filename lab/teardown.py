"""Takes a lab down, however it was left: nothing is asked of the lab itself, all follows from its name."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from lab.control_groups import end_lab
from lab.network import remove_network
from lab.places import LABS, LabPlaces
from lab.programs import run_program
from soundstage.errors import SoundstageError, Unavailable

_NSPAWN = Path("/run/systemd/nspawn")


def take_down(lab: LabPlaces) -> None:
    """Processes, mounts, control groups, network, files; in the order in which each frees the next."""
    ids = _machine_ids(lab)
    end_lab(lab)
    _unmount_below(lab.folder)
    remove_network(lab)
    for id_ in ids:
        for left in (_NSPAWN / "propagate" / id_, _NSPAWN / "unix-export" / id_):
            with suppress(FileNotFoundError, OSError):
                left.rmdir()
    if lab.folder.exists():
        shutil.rmtree(lab.folder)
    with suppress(OSError):  # other labs are there
        LABS.rmdir()


def _machine_ids(lab: LabPlaces) -> list[str]:
    machines = lab.folder / "machines"
    return [lab.machine(one.name).id for one in machines.iterdir()] if machines.exists() else []


def _unmount_below(folder: Path, timeout_s: float = 30) -> None:
    """Innermost first. A killed machine's namespaces may hold a mount for a moment longer."""
    until = time.monotonic() + timeout_s
    while True:
        mounted = [place for place in mount_points() if place.startswith(f"{folder}/")]
        if not mounted:
            return
        for place in reversed(mounted):
            with suppress(SoundstageError):
                run_program(["umount", place], doing="Unmounting", timeout_s=30)
        if mounted == [place for place in mount_points() if place.startswith(f"{folder}/")]:
            if time.monotonic() > until:
                raise Unavailable(
                    "lab.mount_busy",
                    f"Somebody still uses {mounted[-1]}.",
                    "Close what has files open there (`fuser -vm` shows it) and call `soundstage lab down` again.",
                )
            time.sleep(0.02)


def mount_points() -> list[str]:
    """All of this computer, in the order in which they were mounted."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line.split()[1].replace("\\040", " ") for line in lines]
