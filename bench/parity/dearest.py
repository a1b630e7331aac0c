"""Lists the operations that take most of the time; the programs that measure speed print it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

DEAREST = 5


def print_dearest(what: str, work: Callable[[], object]) -> None:
    """Five lines: an operation of torch, its share of the time, milliseconds, calls; its own work alone."""
    card = torch.cuda.is_available()
    kinds = [torch.profiler.ProfilerActivity.CUDA if card else torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=kinds) as seen:
        work()
        if card:
            torch.cuda.synchronize()
    rows: list[tuple[float, Any]] = sorted(
        (
            (one.self_device_time_total if card else one.self_cpu_time_total, one)
            for one in seen.key_averages()
        ),
        key=lambda row: -row[0],
    )
    whole = sum(time for time, _ in rows) or 1.0
    print(f"the {DEAREST} dearest operations of {what}, of {whole / 1000:.0f} ms on the {_where(card)}:")
    for time, one in rows[:DEAREST]:
        print(f"  {time / whole:6.1%} {time / 1000:9.1f} ms {one.count:7} calls  {one.key[:80]}", flush=True)


def _where(card: bool) -> str:
    return "card" if card else "processor"
