"""Times networks on a card, or reduced ones on the processor, and prints a row of each; for the programs that
race ours against an original or measure ours alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

COSTLIEST = 5


def race_parser(description: str | None) -> argparse.ArgumentParser:
    """Returns a parser with `--small`; programs add their own options."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="reduced networks, also on the processor")
    return parser


def device_for(small: bool) -> torch.device | None:
    """Returns the card, or the processor for a trial; None, after saying so, where nothing can be measured.
    Prints its name and the heads of the rows.
    """
    card = torch.cuda.is_available()
    if not card and not small:
        print("no card here: not measured")
        return None
    print(torch.cuda.get_device_name() if card else "processor")
    print(f"{'':<28} {'frames/s':>9} {'seconds':>9} {'VRAM MiB':>9}")
    return torch.device("cuda" if card else "cpu")


def time_work(name: str, work: Callable[[], int], peak_mib: Callable[[], int] | None = None) -> float:
    """Runs work that returns the number of its frames, prints its row, and returns frames per second.

    `peak_mib`: the most memory on the card where torch's own count is not enough.
    """
    card = torch.cuda.is_available()
    if card:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    started = time.perf_counter()
    frames = work()
    if card:
        torch.cuda.synchronize()
    took = time.perf_counter() - started
    most = "-"
    if card:
        most = str(peak_mib() if peak_mib else torch.cuda.max_memory_allocated() >> 20)
    print(f"{name:<28} {frames / took:9.2f} {took:9.1f} {most:>9}", flush=True)
    return frames / took


def print_costliest(what: str, work: Callable[[], object]) -> None:
    """Prints the operations of torch that take most of the time: share, milliseconds and calls of each."""
    card = torch.cuda.is_available()
    kinds = [torch.profiler.ProfilerActivity.CUDA if card else torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=kinds) as profile:
        work()
        if card:
            torch.cuda.synchronize()
    rows: list[tuple[float, Any]] = sorted(
        (
            (one.self_device_time_total if card else one.self_cpu_time_total, one)
            for one in profile.key_averages()
        ),
        key=lambda row: -row[0],
    )
    whole = sum(took for took, _ in rows) or 1.0
    where = "card" if card else "processor"
    print(f"the {COSTLIEST} costliest operations of {what}, of {whole / 1000:.0f} ms on the {where}:")
    for took, one in rows[:COSTLIEST]:
        print(f"  {took / whole:6.1%} {took / 1000:9.1f} ms {one.count:7} calls  {one.key[:80]}", flush=True)
