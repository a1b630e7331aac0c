"""Fills our networks from the published checkpoints, strictly; the engine and `avatar reenact` call it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from avatar.engines.liveportrait.networks import Networks
from avatar.engines.liveportrait.sizes import PUBLISHED, Sizes
from avatar.engines.weights import strict_load
from avatar.engines.weights.store import ModelStore

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
        strict_load(getattr(networks, attribute), files[role], part=part, optional=[_is_counter])
    return networks


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")
