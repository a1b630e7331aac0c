"""Fills our networks from the published checkpoints, strictly; the engine and `avatar reenact` call it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from avatar.engines.liveportrait.networks import Networks
from avatar.engines.liveportrait.sizes import PUBLISHED, Sizes
from avatar.engines.weights import strict_load
from avatar.errors import Unavailable

FILES: Mapping[str, tuple[str, str | None]] = {
    "appearance": ("appearance_feature_extractor", None),
    "motion": ("motion_extractor", None),
    "warping": ("warping_module", None),
    "generator": ("spade_generator", None),
    "stitching": ("stitching_retargeting_module", "retarget_shoulder"),
    "eyes": ("stitching_retargeting_module", "retarget_eye"),
    "lips": ("stitching_retargeting_module", "retarget_mouth"),
}
"""Our networks, the published file of each, and which of the file's networks it is."""
STEMS = tuple(dict.fromkeys(stem for stem, _ in FILES.values()))
_FOLDERS = (".", "base_models", "retargeting_models")
_SUFFIXES = (".safetensors", ".pth")


def find_files(folder: Path) -> dict[str, Path]:
    """The checkpoints by their published names (without suffix) in a folder laid out as published, or flat.

    Raises Unavailable `weights.missing`, which names every file that is not there.
    """
    found: dict[str, Path] = {}
    for stem in STEMS:
        places = (folder / below / (stem + suffix) for below in _FOLDERS for suffix in _SUFFIXES)
        path = next((place for place in places if place.is_file()), None)
        if path is not None:
            found[stem] = path
    missing = [f"{stem}.pth" for stem in STEMS if stem not in found]
    if missing:
        raise Unavailable(
            "weights.missing",
            f"LivePortrait lacks {', '.join(missing)} in {folder}.",
            "`avatar models list` says where each file comes from and under which licence.",
        )
    return found


def load_networks(files: Mapping[str, Path], sizes: Sizes = PUBLISHED) -> Networks:
    """All networks, on the CPU in float32. Raises as `strict_load`: `weights.mismatch` and its like."""
    networks = Networks(sizes)
    for attribute, (stem, part) in FILES.items():
        # Training counts its batches; whoever exported the file may have left that out.
        strict_load(getattr(networks, attribute), files[stem], part=part, optional=[_is_counter])
    return networks


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")
