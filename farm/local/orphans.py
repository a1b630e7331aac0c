"""Pid files of running workers, and the end of those whose control process was killed; used by the local pool
at its start.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

MARK = "SOUNDSTAGE_TASK_MARK"
"""Environment variable with a random value per task: it tells our processes from strangers with the same
number.
"""


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """The process that works in a folder. Process numbers are used again; number and start time together are
    not.
    """

    pid: int
    started: str
    mark: str


def start_time(pid: int) -> str | None:
    """Returns when a process started, in the unit of the system; None when there is no such process (or a
    zombie).
    """
    try:
        # The name in field 2 may hold spaces and brackets, so count from its last bracket: state is field 3,
        # start 22.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _start_time_from_ps(pid)
    return None if fields[0] in "ZX" else fields[19]


def _start_time_from_ps(pid: int) -> str | None:
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip() or None


def write_record(path: Path, record: WorkerRecord) -> None:
    """Atomic: a reader sees the whole record or none."""
    half = path.with_suffix(".part")
    half.write_text(json.dumps(asdict(record)))
    half.replace(path)


def read_record(path: Path) -> WorkerRecord | None:
    try:
        return WorkerRecord(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def owner_name(pid: int) -> str:
    """Folder name of a control process: it tells later whether that very process still lives."""
    started = start_time(pid) or ""
    return f"{pid}-{hashlib.sha256(started.encode()).hexdigest()[:12]}"


def owner_lives(name: str) -> bool:
    number = name.partition("-")[0]
    return number.isdigit() and start_time(int(number)) is not None and owner_name(int(number)) == name


def end_processes(record: WorkerRecord) -> int:
    """SIGKILL for the worker's process group and what it started; returns how many were found alive.

    The group is signalled only while its leader is the very process of the record; children that outlived
    the leader are found by session number and mark, one by one.
    """
    if start_time(record.pid) == record.started:
        return _signal_all(os.killpg, [record.pid])
    return _signal_all(os.kill, find_processes(record))


def find_processes(record: WorkerRecord) -> list[int]:
    """Live processes of the record's session that carry its mark (Linux; elsewhere none are found)."""
    mark = f"{MARK}={record.mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        try:
            if os.getsid(pid) == record.pid and mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(pid)
        except OSError:
            continue
    return found


def _signal_all(send: Callable[[int, int], None], numbers: list[int]) -> int:
    reached = 0
    for number in numbers:
        try:
            send(number, signal.SIGKILL)
            reached += 1
        except (ProcessLookupError, PermissionError):
            continue
    return reached
