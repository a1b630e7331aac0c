"""Opens the engine on what the machine has; `avatar reenact` calls it."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from avatar.engines.liveportrait.animator import Animator
from avatar.engines.liveportrait.info import INFO
from avatar.engines.liveportrait.loading import load_networks, require_files
from avatar.engines.precision import Precision, card_dtype, dtype_of

__all__ = ["CARD_BATCH", "INFO", "PROCESSOR_BATCH", "batch_of", "open_animator"]

CARD_BATCH, PROCESSOR_BATCH = 8, 1
_MOST_THREADS = 8


def open_animator(
    models: Path, precision: Precision, *, stitching: bool, strength: float, compile: bool = False
) -> Animator:
    """Opens it on the first card in fp16, or on the processor in float32.

    Raises `weights.missing`, `weights.mismatch`.
    """
    card = torch.cuda.is_available()
    if not card:
        torch.set_num_threads(min(_MOST_THREADS, os.cpu_count() or 1))
    dtype = card_dtype(precision) if card else dtype_of(precision, torch.float32)
    networks = load_networks(require_files(models))
    device = torch.device("cuda" if card else "cpu")
    return Animator(networks, device, dtype, stitching=stitching, strength=strength, compile=compile)


def batch_of(animator: Animator) -> int:
    """Returns how many frames the networks take at once."""
    return CARD_BATCH if animator.device.type == "cuda" else PROCESSOR_BATCH
