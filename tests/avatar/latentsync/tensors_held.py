"""Measures the memory that a piece of work holds at once, on a card and on the processor."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parents[3] / "bench/parity"))


def most_bytes(device: str, work: Callable[[], object]) -> int:
    """A card counts what its tensors take; on the processor all tensors that the work makes are counted."""
    if device == "cuda":
        work()  # workspaces that libraries take once are there
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    from budget_latentsync import MemoryCounter

    with MemoryCounter() as counted:
        work()
    return counted.peak
