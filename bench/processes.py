"""Reads what processes take; for the programs beside it."""

from __future__ import annotations

import os
from pathlib import Path


def proportional_kib(pid: int | str) -> int:
    """Returns the proportional set size: pages that processes share count once. 0 for one that has ended."""
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(row.split()[1]) for row in rows if row.startswith("Pss:")), 0)


def processor_s(pid: int) -> float:
    """Returns the processor time of a process and of those that it has started, and they, and that run."""
    used: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    ticks = os.sysconf("SC_CLK_TCK")
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
        used[int(entry.name)] = (int(fields[11]) + int(fields[12])) / ticks
    total, waiting = 0.0, [pid]
    while waiting:
        one = waiting.pop()
        total += used.get(one, 0.0)
        waiting += children.get(one, [])
    return total
