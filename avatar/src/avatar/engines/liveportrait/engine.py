"""Opens the engine on what the machine has; `avatar reenact` calls it."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from avatar.engines.base import EngineInfo
from avatar.engines.liveportrait.animator import Animator
from avatar.engines.liveportrait.loading import load_networks, required_files
from avatar.engines.precision import Precision, dtype_of

INFO = EngineInfo(
    name="liveportrait",
    version="1",
    licence="MIT (weights of KwaiVGI/LivePortrait, the operator's)",
    vram_mib=2048,
    gpus=1,
    inputs=("photo", "video", "driving video", "motion template", "control track"),
    outputs=("frames",),
)
CARD_BATCH, PROCESSOR_BATCH = 8, 1
_MOST_THREADS = 8


def open_animator(models: Path, precision: Precision, *, stitching: bool, strength: float) -> Animator:
    """On the first card in fp16, or on the processor in float32. Raises `weights.missing`, `.mismatch`."""
    card = torch.cuda.is_available()
    if not card:
        torch.set_num_threads(min(_MOST_THREADS, os.cpu_count() or 1))
    dtype = dtype_of(precision, torch.float16 if card else torch.float32)
    networks = load_networks(required_files(models))
    device = torch.device("cuda" if card else "cpu")
    return Animator(networks, device, dtype, stitching=stitching, strength=strength)


def batch_of(animator: Animator) -> int:
    """How many frames the networks take at once."""
    return CARD_BATCH if animator.device.type == "cuda" else PROCESSOR_BATCH
