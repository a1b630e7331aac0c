"""How the networks share a card: what is computed at once, in which numbers, what waits in main memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from avatar.engines.card_memory import within_lease
from avatar.engines.precision import Precision, card_dtype, dtype_of

Vram = Literal["low", "auto"]

SPARE_MIB = 12_000
"""A card with so much free memory gets guidance in one batch and several faces at once."""
LARGE_MIB = 30_000
"""And one with this much two chunks at a time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """split: both runs of guidance one after the other. faces: how many the autoencoder takes at once.
    chunks: how many the UNet takes. park: networks that are not at work wait in main memory. bands: rows of a
    face that the autoencoder takes at once are so many parts of it. slices: the same for tokens in the UNet.
    compile: see `compiled`.
    """

    device: torch.device
    dtype: torch.dtype
    split: bool = True
    faces: int = 1
    chunks: int = 1
    park: bool = False
    bands: int = 1
    slices: int = 1
    compile: bool = False


def plan(vram: Vram = "auto", precision: Precision = "auto") -> Plan:
    """For the first card that torch sees, by what we may have of its memory; without a card for the
    processor, in float32.
    """
    if not torch.cuda.is_available():
        return Plan(torch.device("cpu"), dtype_of(precision, torch.float32))
    device = torch.device("cuda")
    dtype = card_dtype(precision)
    if vram == "low":
        return low(Plan(device, dtype))
    free_mib = within_lease(torch.cuda.mem_get_info(device)[0] >> 20)
    if free_mib < SPARE_MIB:
        return low(Plan(device, dtype))
    return Plan(device, dtype, split=False, faces=8, chunks=2 if free_mib >= LARGE_MIB else 1)


def low(of: Plan) -> Plan:
    """The same with the least memory."""
    return Plan(of.device, of.dtype, split=True, faces=1, chunks=1, park=True, bands=8, slices=8)
