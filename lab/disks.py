"""The disk of a machine: a file with a file system of its own, so that it can be full or slow alone."""

from __future__ import annotations

from pathlib import Path

from lab.places import MachinePlaces
from lab.programs import run_program

_LOOP = Path("/dev/loop-control")


def make_disk(machine: MachinePlaces, size_gib: int) -> None:
    """Mounts a disk of `size_gib`; it takes only the room that is used. In memory where there are no loop
    devices."""
    machine.disk.mkdir()
    if not _LOOP.exists():
        options = f"size={size_gib}G,mode=755"
        run_program(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", machine.disk], doing="Making a disk in memory"
        )
        return
    with machine.disk_image.open("wb") as file:
        file.truncate(size_gib * 2**30)
    late = "lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    run_program(
        ["mkfs.ext4", "-q", "-m", "0", "-E", late, "-J", "size=16", machine.disk_image], doing="Making a disk"
    )
    run_program(
        ["mount", "-o", "loop,noatime,barrier=0", machine.disk_image, machine.disk], doing="Mounting a disk"
    )
