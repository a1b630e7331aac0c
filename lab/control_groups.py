"""Control groups of a lab: one tree per hierarchy, by which machines are limited, and by which all is ended.

Every process of a lab is in `soundstage-lab/NAME` of the version 2 hierarchy: machines below `machines/ID`,
those that keep them running in `keepers`. So `down` needs no process numbers. On a computer that has version
2 alone, that group limits the machine too. Where controllers still belong to version 1, a machine has groups
there as well, which limit it and are handed into it for Nomad. What is mounted decides, controller by
controller.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lab.paths import LabPaths, MachinePaths
from soundstage.errors import Unavailable

CONTROLLERS_V1 = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
_TOP = "soundstage-lab"
_FILES = Path("/sys/fs/cgroup")
# All labs together count as so many busy processes. As one, which a group is by itself, they would starve on
# a computer that does something else.
_SHARES = 16
_CONTROLLERS_V2 = ("cpu", "cpuset", "io", "memory", "pids")


def find_unified_hierarchy() -> Path:
    """Returns where version 2 is mounted: alone, or beside version 1."""
    for place in (_FILES, _FILES / "unified"):
        if (place / "cgroup.controllers").exists():
            return place
    raise Unavailable(
        "lab.no_cgroup2",
        "No control groups of version 2 are mounted, and systemd in the machines needs them.",
        "mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified",
    )


def hierarchies_v1() -> dict[str, Path]:
    """The controllers that still belong to version 1: {"memory": Path("/sys/fs/cgroup/memory"), …}; none
    where version 2 is mounted alone. `tasks` is a file that version 2 does not have."""
    return {name: _FILES / name for name in CONTROLLERS_V1 if (_FILES / name / "tasks").exists()}


def to_hand_down(group: Path) -> list[str]:
    """The controllers that `group` has and does not let the groups below it use yet, of those that limit
    machines. A computer's own systemd hands down from the top only what its units ask for, which on most is
    `memory` and `pids`."""
    available = (group / "cgroup.controllers").read_text().split()
    handed_down = (group / "cgroup.subtree_control").read_text().split()
    return [name for name in _CONTROLLERS_V2 if name in available and name not in handed_down]


def keepers_group(lab: LabPaths) -> Path:
    return find_unified_hierarchy() / _TOP / lab.name / "keepers"


def keeper_group(machine: MachinePaths) -> Path:
    return keepers_group(machine.lab) / machine.id


def machine_group(machine: MachinePaths) -> Path:
    return find_unified_hierarchy() / _TOP / machine.lab.name / "machines" / machine.id


def machine_groups_v1(machine: MachinePaths) -> dict[str, Path]:
    """One group per controller of version 1; each has a group `inside` for the machine's own use."""
    return {name: top / _TOP / machine.lab.name / machine.id for name, top in hierarchies_v1().items()}


def make_lab_groups(lab: LabPaths) -> None:
    group = keepers_group(lab)
    group.mkdir(parents=True, exist_ok=True)
    root = find_unified_hierarchy()
    top = root / _TOP
    (top / lab.name / "machines").mkdir(exist_ok=True)
    # Level by level: a group has what the one above hands down.
    for level in (root, top, top / lab.name, top / lab.name / "machines"):
        for name in to_hand_down(level):
            _hand_down(level, name)
    if (top / "cpu.weight").exists():
        (top / "cpu.weight").write_text(str(_SHARES * 100))


def _hand_down(group: Path, controller: str) -> None:
    try:
        (group / "cgroup.subtree_control").write_text(f"+{controller}")
    except OSError as error:
        # In a container the topmost group has processes of its own and hands nothing down; `cpu` stays where
        # programs have real-time priority. Machines run without that limit then.
        if error.errno not in (errno.EBUSY, errno.EINVAL, errno.EPERM, errno.EACCES, errno.ENOENT):
            raise


def make_machine_groups(machine: MachinePaths, memory_mib: int) -> list[Path]:
    """The groups that the machine's first process must enter, limits set."""
    unified = machine_group(machine)
    unified.mkdir(parents=True, exist_ok=True)
    keeper_group(machine).mkdir(parents=True, exist_ok=True)
    limit = str(memory_mib * 1024 * 1024)
    if (unified / "memory.max").exists():
        (unified / "memory.max").write_text(limit)
    groups = [unified]
    for name, group in machine_groups_v1(machine).items():
        group.mkdir(parents=True, exist_ok=True)
        if name == "cpuset":
            for level in (group.parent.parent, group.parent, group):
                for file in ("cpuset.cpus", "cpuset.mems"):
                    (level / file).write_text((level.parent / file).read_text())
        if name == "memory":
            (group / "memory.limit_in_bytes").write_text(limit)
        if name == "cpu":
            (group.parent.parent / "cpu.shares").write_text(str(_SHARES * 1024))
        groups.append(group)
    return groups


def processes_of(group: Path) -> list[int]:
    """All processes in a group and below it; none when there is no such group."""
    found: list[int] = []
    for path in [group, *_below(group)]:
        with suppress(FileNotFoundError, OSError):
            found += [int(line) for line in (path / "cgroup.procs").read_text().split()]
    return found


def end_all(group: Path, timeout_s: float = 120) -> None:
    """Kills what is in a group of version 2 and below it, and waits until it is empty."""
    until = time.monotonic() + timeout_s
    while processes_of(group):
        with suppress(FileNotFoundError):
            (group / "cgroup.kill").write_text("1")
        if time.monotonic() > until:
            raise Unavailable(
                "lab.processes_stay",
                f"Processes in {group} do not end: {processes_of(group)}",
                "Wait a moment and call `soundstage lab down` again.",
            )
        time.sleep(0.01)


def end_lab(lab: LabPaths) -> None:
    """Ends every process of a lab, then removes its groups."""
    end_all(find_unified_hierarchy() / _TOP / lab.name)
    # In all hierarchies, also in those that are not ours: systemd-nspawn repeats the groups in systemd's own.
    for place in (_FILES, *_FILES.iterdir()):
        if (place / _TOP / lab.name).is_dir():
            remove_tree(place / _TOP / lab.name)


def remove_tree(group: Path, timeout_s: float = 60) -> None:
    """Removes a group and those below it. Processes of version 1 groups have ended with their version 2
    group."""
    until = time.monotonic() + timeout_s
    for path in [*sorted(_below(group), key=lambda one: -len(one.parts)), group]:
        while True:
            try:
                path.rmdir()
            except FileNotFoundError:
                break
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)  # ended processes leave their group a moment later
            else:
                break


def _below(group: Path) -> Iterator[Path]:
    """The groups below one; a machine that works makes and removes some at any moment."""
    try:
        inside = [path for path in group.iterdir() if path.is_dir()]
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENODEV):
            raise
        return
    for path in inside:
        yield path
        yield from _below(path)
