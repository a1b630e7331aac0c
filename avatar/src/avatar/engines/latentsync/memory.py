"""Plans how the networks share a card: batch sizes, precision, and what waits in main memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from avatar.engines.card import open_card
from avatar.engines.card_mode import MOUTH, Mode, RequestedMode, choose_mode
from avatar.engines.precision import Precision, card_dtype, dtype_of


@dataclass(frozen=True, slots=True)
class Plan:
    """split: both runs of guidance one after the other. faces: how many the autoencoder takes at once.
    chunks: how many the UNet takes. park: networks that are not at work wait in main memory. bands: rows of a
    face that the autoencoder takes at once are so many parts of it. slices: the same for tokens in the UNet.
    compile: see `sampler.CompiledUNet`. mode: how much of a card that takes; on a processor "low" or nothing.
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
    mode: Mode | Literal[""] = ""


def plan(requested: RequestedMode = "auto", precision: Precision = "auto") -> Plan:
    """For the first card that torch sees, in the mode that is asked for or `card_mode` decides; without a
    card for the processor, in float32: in parts where `low` is asked for, otherwise one thing at a time, for
    more at once makes no processor faster. Raises as `open_card`.
    """
    if not torch.cuda.is_available():
        plain = Plan(torch.device("cpu"), dtype_of(precision, torch.float32))
        return low(plain) if requested == "low" else plain
    card, dtype = open_card(MOUTH), card_dtype(precision)
    mode = choose_mode(MOUTH, card, requested, wide=dtype is torch.float32)
    return in_mode(mode, Plan(torch.device("cuda"), dtype))


def in_mode(mode: Mode, of: Plan) -> Plan:
    """The same device and numbers in a mode: parked and in parts, one by one, many at once, twice as many."""
    shown_mode: Mode | Literal[""] = mode if of.device.type == "cuda" or mode == "low" else ""
    plain = Plan(of.device, of.dtype, compile=of.compile, mode=shown_mode)
    if mode == "low":
        return replace(plain, park=True, bands=8, slices=8)
    if mode == "middle":
        return plain
    return replace(plain, split=False, faces=8, chunks=2 if mode == "large" else 1)


def low(of: Plan) -> Plan:
    """The same with the least memory."""
    return in_mode("low", of)
