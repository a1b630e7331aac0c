"""A control group for one run, where the system gives us one: memory and processes of all of it together.

On a system with version 1 that is a folder below our own group; with version 2 a folder beside our own, which
systemd leaves to a service that asks for `Delegate=yes` and `DelegateSubgroup=…`. Elsewhere there is none.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.sandbox.limits import MIB, Limits
from agent.sandbox.outcome import LimitHit

MOUNTS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
PREFIX = "soundstage-sandbox-"
EMPTY_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """The folders of one run: one in version 2, one for each controller in version 1."""

    folders: tuple[Path, ...]

    @property
    def joined_by(self) -> tuple[str, ...]:
        """Files into which a process writes its id to join."""
        return tuple(str(folder / "cgroup.procs") for folder in self.folders)

    def limit_hit(self) -> LimitHit | None:
        """Returns which limit the kernel has enforced, as it counts them."""
        for name, key, limit in _COUNTED:
            for folder in self.folders:
                if _counts(folder / name).get(key, 0) > 0:
                    return limit
        return None

    def kill(self) -> None:
        """Ends whatever runs in it now."""
        for folder in self.folders:
            try:
                found = (folder / "cgroup.procs").read_text(encoding="ascii").split()
            except OSError:
                continue
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)

    async def remove(self) -> None:
        """Waits until the last process is gone; what is left then is an empty folder at worst."""
        for folder in self.folders:
            with suppress(TimeoutError):
                async with asyncio.timeout(EMPTY_WITHIN_S):
                    while not _removed(folder):
                        self.kill()
                        await asyncio.sleep(0.02)


_COUNTED: tuple[tuple[str, str, LimitHit], ...] = (
    ("memory.events", "oom_kill", "memory"),
    ("memory.oom_control", "oom_kill", "memory"),
    ("pids.events", "max", "processes"),
)


def make_group(limits: Limits, mounts: Path = MOUNTS, own: Path = OWN) -> ControlGroup | None:
    """A group with the limits, or None where we may not make one."""
    name = PREFIX + secrets.token_hex(6)
    memory, maximum = limits.memory_mib * MIB, str(limits.processes + 2)
    folders: list[Path] = []
    try:
        for parent, values in _parents(_own_groups(own), mounts, str(memory), maximum):
            folder = parent / name
            folder.mkdir()
            folders.append(folder)
            for file, value in values.items():
                (folder / file).write_text(value, encoding="ascii")
    except OSError:
        folders, failed = [], folders
        for folder in failed:
            _removed(folder)
    return ControlGroup(tuple(folders)) if folders else None


def _parents(
    groups: Mapping[str, str], mounts: Path, memory: str, processes: str
) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Yields where to make folders, and what to write there. FileNotFoundError when memory cannot be
    limited.
    """
    if "memory" in groups and "pids" in groups:
        yield mounts / "memory" / groups["memory"].lstrip("/"), {"memory.limit_in_bytes": memory}
        yield mounts / "pids" / groups["pids"].lstrip("/"), {"pids.max": processes}
        return
    beside = (mounts / groups[""].lstrip("/")).parent if "" in groups else mounts
    controllers = (beside / "cgroup.subtree_control").read_text(encoding="ascii").split()
    if not {"memory", "pids"} <= set(controllers):
        raise FileNotFoundError(beside)
    yield beside, {"memory.max": memory, "memory.swap.max": "0", "pids.max": processes}


def _own_groups(own: Path) -> dict[str, str]:
    """Controller to path, as /proc/self/cgroup has them; version 2 under the empty name."""
    found: dict[str, str] = {}
    for line in own.read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        found.update(dict.fromkeys(controllers.split(","), path))
    return found


def _counts(file: Path) -> dict[str, int]:
    try:
        pairs = (line.split() for line in file.read_text(encoding="ascii").splitlines())
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
    except OSError:
        return {}


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
