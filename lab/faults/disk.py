"""A disk that is full, and one that is slow. Both are the machine's own: the computer's disk stays as it
is."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from lab.control_groups import machine_group, machine_groups_v1
from lab.faults.fault import Fault, FaultTarget
from lab.programs import run_program
from soundstage.errors import Unavailable

_FILLER = "filler"
_PIECE_BYTES = 2**30
# A dying disk, or one that a neighbour wears out: what a database notices and a person still calls working.
_SLOW_BYTES_PER_S = 512 * 1024
_SLOW_IO_PER_S = 20


def _fill(machine: FaultTarget) -> None:
    """Takes all free room of the machine's disk without writing it: space that is set aside for a file costs
    the computer nothing. A disk in memory is made as small as what is in it."""
    if not machine.paths.disk_image.exists():
        used = os.statvfs(machine.paths.disk)
        taken = (used.f_blocks - used.f_bfree) * used.f_frsize
        _resize_memory_disk(machine, f"{max(taken // 1024, 1)}k")
        return
    filler = machine.paths.disk / _FILLER
    with filler.open("ab") as file:
        piece = _PIECE_BYTES
        while piece >= 4096:
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), piece)
            except OSError:
                piece //= 2


def _empty(machine: FaultTarget) -> None:
    (machine.paths.disk / _FILLER).unlink(missing_ok=True)
    if not machine.paths.disk_image.exists():
        _resize_memory_disk(machine, f"{machine.plan.disk_gib}G")


def _resize_memory_disk(machine: FaultTarget, size: str) -> None:
    options = f"remount,size={size}"
    run_program(["mount", "-o", options, machine.paths.disk], doing="Changing the size of a disk in memory")


def _slow_down(machine: FaultTarget) -> None:
    """Limits what the machine's processes may read and write themselves. Writes that the kernel does later,
    in nobody's name, are not slowed with control groups of version 1; those that a program waits for (fsync,
    direct) are, and these are what databases and logs of consensus do."""
    device = _device(machine)
    v1 = machine_groups_v1(machine.paths).get("blkio")
    if v1 is not None:
        for direction in ("read", "write"):
            (v1 / f"blkio.throttle.{direction}_bps_device").write_text(f"{device} {_SLOW_BYTES_PER_S}")
            (v1 / f"blkio.throttle.{direction}_iops_device").write_text(f"{device} {_SLOW_IO_PER_S}")
        return
    limits = (
        f"rbps={_SLOW_BYTES_PER_S} wbps={_SLOW_BYTES_PER_S} riops={_SLOW_IO_PER_S} wiops={_SLOW_IO_PER_S}"
    )
    _io_max(machine).write_text(f"{device} {limits}")


def _speed_up(machine: FaultTarget) -> None:
    if not machine.paths.disk_image.exists():
        return
    device = _device(machine)
    v1 = machine_groups_v1(machine.paths).get("blkio")
    if v1 is not None:
        for direction in ("read", "write"):
            for kind in ("bps", "iops"):
                (v1 / f"blkio.throttle.{direction}_{kind}_device").write_text(f"{device} 0")
        return
    with suppress(Unavailable):
        _io_max(machine).write_text(f"{device} rbps=max wbps=max riops=max wiops=max")


def _io_max(machine: FaultTarget) -> Path:
    file = machine_group(machine.paths) / "io.max"
    if not file.exists():
        raise Unavailable(
            "lab.no_io_control",
            "This computer cannot slow a disk down: no control group has the io or blkio controller.",
            "Use another fault.",
        )
    return file


def _device(machine: FaultTarget) -> str:
    """The machine's disk as `major:minor`."""
    if not machine.paths.disk_image.exists():
        raise Unavailable(
            "lab.disk_in_memory",
            f"The disk of “{machine.plan.name}” is in memory and cannot be slow.",
            "This computer has no loop devices; use another fault.",
        )
    number = machine.paths.disk.stat().st_dev
    return f"{os.major(number)}:{os.minor(number)}"


DISK_FULL = Fault("disk-full", "its disk is full", _fill, _empty)
DISK_SLOW = Fault("disk-slow", "its disk does 20 operations and 512 KiB per second", _slow_down, _speed_up)
