"""Opens the engine on what the machine has, from the published checkpoints; `avatar reenact` calls it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from avatar.engines.liveportrait import INFO
from avatar.engines.liveportrait.animator import Animator
from avatar.engines.liveportrait.networks import Networks
from avatar.engines.liveportrait.sizes import PUBLISHED, Sizes
from avatar.engines.precision import Precision, card_dtype, dtype_of
from avatar.engines.weights import read_checkpoint, strict_load
from avatar.engines.weights.store import ModelStore

__all__ = ["CARD_BATCH", "INFO", "PROCESSOR_BATCH", "batch_of", "open_animator"]

CARD_BATCH, PROCESSOR_BATCH = 8, 1
_MOST_THREADS = 8
FILES: Mapping[str, tuple[str, str | None]] = {
    "appearance": ("liveportrait.appearance", None),
    "motion": ("liveportrait.motion", None),
    "warping": ("liveportrait.warping", None),
    "generator": ("liveportrait.generator", None),
    "stitching": ("liveportrait.retargeting", "retarget_shoulder"),
    "eyes": ("liveportrait.retargeting", "retarget_eye"),
    "lips": ("liveportrait.retargeting", "retarget_mouth"),
}
"""Our networks, the role of each one's file in the manifest, and which of the file's networks it is."""


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


def require_files(folder: Path) -> dict[str, Path]:
    """Returns the checkpoints by role, from a models folder.

    Raises Unavailable `weights.missing` for the first that is not there, with its source and licence.
    """
    store = ModelStore(folder)
    return {role: store.require(role) for role in dict.fromkeys(role for role, _ in FILES.values())}


def load_networks(files: Mapping[str, Path], sizes: Sizes = PUBLISHED) -> Networks:
    """Returns all networks, on the CPU in float32. Raises as `strict_load`, such as `weights.mismatch`."""
    networks = Networks(sizes)
    for attribute, (role, part) in FILES.items():
        # Training counts its batches; whoever exported the file may have left that out.
        tensors = read_checkpoint(files[role], part=part)
        strict_load(getattr(networks, attribute), tensors, files[role].name, optional=[_is_counter])
    return networks


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")
