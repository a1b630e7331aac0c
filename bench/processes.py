"""Reads what processes take; for the programs beside it."""

from __future__ import annotations

from pathlib import Path


def proportional_kib(pid: int | str) -> int:
    """Returns the proportional set size: pages that processes share count once. 0 for one that has ended."""
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(row.split()[1]) for row in rows if row.startswith("Pss:")), 0)
