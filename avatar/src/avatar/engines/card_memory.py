"""The first card: how much of it this process may take, and what to say when that was too little. Torch is
only imported where a card may be.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avatar.errors import Unavailable

LEASE_VARIABLE = "SOUNDSTAGE_VRAM_MIB"
"""Set by the farm where a card is shared: our part of it."""
VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"
CONTEXT_MIB = 512
"""What the driver takes for a process beside its tensors."""
OUT_OF_MEMORY = "gpu.out_of_memory"
NOT_FINITE = "gpu.not_finite"
"""See `avatar.engines.precision.require_finite`."""
_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""The driver's own node, and that of Windows' Linux."""
_REQUESTED = re.compile(r"Tried to allocate ([\d.]+) (KiB|MiB|GiB)")
_IN_MIB = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}


@dataclass(frozen=True, slots=True)
class Card:
    """compute: its compute capability, times ten. free_mib: what others and we have not taken. ours_mib: what
    this process holds. lease_mib: what it may hold at most; None for the whole card.
    """

    name: str
    compute: int
    total_mib: int
    free_mib: int
    ours_mib: int = 0
    lease_mib: int | None = None

    @property
    def budget_mib(self) -> int:
        """The memory that our tensors may take, existing ones included."""
        free = self.free_mib + self.ours_mib
        return free if self.lease_mib is None else max(0, min(free, self.lease_mib - CONTEXT_MIB))


def card_is_possible(environment: Mapping[str, str] = os.environ) -> bool:
    """Returns whether importing torch to look pays: a driver is there, and its cards are not hidden."""
    hidden = environment.get(VISIBLE_VARIABLE, "0").strip() in ("", "-1")
    return not hidden and any(path.exists() for path in _DEVICES)


def lease_mib(environment: Mapping[str, str] = os.environ) -> int | None:
    """Our part of a shared card, or None."""
    lease = environment.get(LEASE_VARIABLE, "").strip()
    return int(lease) if lease.isdecimal() and int(lease) > 0 else None


def find_card() -> Card | None:
    """The first card that torch sees; None without one. Torch must be installed. Raises RuntimeError for a
    card that cannot be opened.
    """
    import torch

    if not torch.cuda.is_available():
        return None
    try:
        return _seen(torch)
    except torch.cuda.DeferredCudaCallError as error:  # no RuntimeError, though it means the same
        raise RuntimeError(str(error)) from error


def _seen(torch: Any) -> Card:
    major, minor = torch.cuda.get_device_capability(0)
    free, total = torch.cuda.mem_get_info(0)
    return Card(
        name=torch.cuda.get_device_name(0),
        compute=10 * major + minor,
        total_mib=total >> 20,
        free_mib=free >> 20,
        ours_mib=torch.cuda.memory_reserved(0) >> 20,
        lease_mib=lease_mib(),
    )


def hold_to_lease(card: Card) -> None:
    """Makes torch refuse what goes beyond the lease, instead of taking it from others on the card."""
    import torch

    if card.lease_mib is not None:
        maximum = max(1, card.lease_mib - CONTEXT_MIB) / card.total_mib
        torch.cuda.set_per_process_memory_fraction(min(1.0, maximum), 0)


def peak_mib() -> int | None:
    """The most that our tensors have taken at once, with the driver's part; None where no card was used."""
    import torch

    if not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    taken = int(torch.cuda.max_memory_reserved(0)) >> 20
    return taken + CONTEXT_MIB if taken else None


def out_of_memory(error: BaseException | None = None, *, low: bool, engine: str = "") -> Unavailable:
    """`gpu.out_of_memory` with the numbers that help: what was wanted, what is free, what we took.

    low: this was the mode that takes least.
    """
    requested = _REQUESTED.search(str(error or ""))
    more = "more" if requested is None else f"{round(float(requested[1]) * _IN_MIB[requested[2]])} MiB more"
    details = [f"{engine or 'the engine'} needed {more}", *_numbers()]
    return Unavailable(
        OUT_OF_MEMORY,
        f"The card ran out of memory: {', '.join(details)}.",
        "Free memory on the card, or ask for a larger one (requirements: vram_mib)."
        if low
        else "Free memory on the card, or ask for less of it (--vram low).",
    )


def _numbers() -> list[str]:
    import torch

    if not torch.cuda.is_available():
        return []
    try:
        free, total = (value >> 20 for value in torch.cuda.mem_get_info(0))
    except (RuntimeError, torch.cuda.DeferredCudaCallError):
        return []  # so full that it cannot even be opened
    peak = int(torch.cuda.max_memory_allocated(0)) >> 20
    details = [f"{free} of {total} MiB are free", f"{peak} MiB were taken at most"]
    lease = lease_mib()
    return details if lease is None else [*details, f"{lease} MiB are ours"]


def give_back(torch: Any) -> None:
    """Returns unused memory to the card."""
    import gc

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
