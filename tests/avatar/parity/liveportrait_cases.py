"""The cases in which our LivePortrait and the original are compared: sizes, seeded weights, seeded inputs.

`bench/parity/liveportrait.py` runs the original on them and keeps figures; the tests run ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from avatar.engines.liveportrait.motion_values import Motion
from avatar.engines.liveportrait.sizes import PUBLISHED, Sizes
from seeded import Array, noise, weights

FIGURES = Path(__file__).parent / "liveportrait.npz"
SMALL = Sizes(
    picture_px=64,
    channels=8,
    most_channels=64,
    volume_channels=8,
    volume_depth=8,
    volume_blocks=2,
    motion_channels=8,
    most_motion_channels=64,
    motion_levels=3,
    motion_features=2,
)
STEP_SIZES = replace(SMALL, picture_px=PUBLISHED.picture_px)
"""Small networks for crops as large as the published ones."""
SIZES = {"small": SMALL, "published": PUBLISHED}
NETWORKS = ("appearance", "motion", "warping", "generator", "stitching", "eyes", "lips")
Inputs = dict[str, Array]


def weights_of_network(network: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """As `seeded.weights`; the heads of M are tamed to give a face near the middle, not a heap of points."""
    by_name = weights(shapes, seed=NETWORKS.index(network))
    if network == "motion":
        for head, gain in {"kp": 0.35, "exp": 0.04, "t": 0.05, "scale": 0.05}.items():
            for part in ("weight", "bias"):
                by_name[f"detector.fc_{head}.{part}"] = by_name[f"detector.fc_{head}.{part}"] * np.float32(
                    gain
                )
        by_name["detector.fc_scale.bias"] = by_name["detector.fc_scale.bias"] + np.float32(1.2)
    if network in ("stitching", "eyes", "lips"):
        last = max(key for key in by_name if key.endswith("weight"))
        for key in (last, last.replace("weight", "bias")):
            by_name[key] = by_name[key] * np.float32(0.05)
    return by_name


def network_inputs(network: str, sizes: Sizes) -> tuple[Array, ...]:
    """Returns the inputs of a network, in the order of our forward methods; batches of two but for the
    largest.
    """
    batch = 1 if sizes == PUBLISHED else 2
    side = sizes.picture_px
    coarse = side // 2**sizes.halvings
    if network in ("appearance", "motion"):
        return (np.stack([picture(f"{network} {number}", side) for number in range(batch)]),)
    if network == "warping":
        shape = (batch, sizes.volume_channels, sizes.volume_depth, coarse, coarse)
        source = 0.4 * noise("source keypoints", (batch, 21, 3))
        return noise("volume", shape), source + 0.05 * noise("driven keypoints", (batch, 21, 3)), source
    if network == "generator":
        return (noise("features", (batch, sizes.feature_channels, coarse, coarse)),)
    inputs = {"stitching": 126, "eyes": 66, "lips": 65}[network]
    return (0.4 * noise(network, (batch, inputs)),)


def picture(name: str, side: int) -> Array:
    """A smooth picture with some grain, RGB 0..1, (3, side, side)."""
    coarse = noise(name, (3, 4, 4))
    at = np.linspace(0, 3 - 1e-6, side)
    low, part = at.astype(int), (at % 1)[:, None]
    rows = coarse[:, low] * (1 - part) + coarse[:, low + 1] * part
    smooth = rows[:, :, low] * (1 - part[:, 0]) + rows[:, :, low + 1] * part[:, 0]
    grain = 0.05 * noise(name + " grain", (3, side, side))
    return np.asarray(np.clip(0.5 + 0.25 * smooth + grain, 0, 1), np.float32)


def frame(name: str, side: int) -> npt.NDArray[np.uint8]:
    """`picture` as uint8 (side, side, 3)."""
    return np.asarray(picture(name, side).transpose(1, 2, 0) * 255, np.uint8)


def as_motion(values: Mapping[str, Array]) -> Motion:
    """A `Motion` from arrays (1, …) by the names that a motion template uses."""
    return Motion(
        kp=values["kp"][0],
        exp=values["exp"][0],
        rotation=values["R"][0],
        t=values["t"][0],
        scale=float(values["scale"][0, 0]),
    )
