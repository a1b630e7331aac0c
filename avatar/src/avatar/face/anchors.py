"""Puts the points of a detector where LatentSync expects its three anchors and LivePortrait its crop. Both
GPU engines align faces with it. Which point is what: `avatar.face.layouts`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avatar.face.landmarks import Points
from avatar.face.layouts import layout_of

Floats = npt.NDArray[np.float64]


def latentsync_anchors(points: Points) -> Floats:
    """Left brow, right brow, nose of landmarks (478 or 106, 3): float64 (3, 2), in their pixels, not rounded.

    "Left" is the picture's side, as in the template that LatentSync aligns to.
    """
    flat = points[:, :2].astype(np.float64)
    return np.stack([flat[list(group)].mean(axis=0) for group in layout_of(points).anchors])


@dataclass(frozen=True, slots=True)
class CropFrame:
    """A square that follows the face: `centre` (x, y) and `side` in pixels, clockwise `angle` in radians."""

    centre: tuple[float, float]
    side: float
    angle: float

    def matrix(self, size_px: int) -> Floats:
        """(2, 3), from picture to a crop of `size_px`; half a crop pixel is where LivePortrait has it."""
        scale = size_px / self.side
        cosine, sine = scale * np.cos(self.angle), scale * np.sin(self.angle)
        turn = np.array([[cosine, sine], [-sine, cosine]])
        shift = size_px / 2 - turn @ np.array(self.centre)
        return np.column_stack([turn, shift])


def liveportrait_crop(points: Points, *, scale: float = 2.3, lift: float = -0.125) -> CropFrame:
    """The square that LivePortrait shows its networks, from landmarks (478 or 106, 3).

    Its axis runs from the middle of the eyes to the middle of the mouth. The box is the extent of the face in
    that frame, made square, times `scale`, and moved along the axis by `lift` of its side (up: negative).
    The defaults are those of LivePortrait for a source; it drives with 2.2 and -0.1.
    """
    flat = points[:, :2].astype(np.float64)
    layout = layout_of(points)
    eyes = sum(flat[list(eye)].mean(axis=0) for eye in layout.eyes) / 2
    mouth = flat[list(layout.lips[2:])].mean(axis=0)
    return crop_around(flat[list(layout.box)], eyes, mouth, scale=scale, lift=lift)


def crop_around(points: Floats, eyes: Floats, mouth: Floats, *, scale: float, lift: float) -> CropFrame:
    """The square around `points` (n, 2), its axis from `eyes` to `mouth` (2,); see `liveportrait_crop`."""
    down = mouth - eyes
    length = float(np.linalg.norm(down))
    down = down / length if length > 1e-3 else np.array([0.0, 1.0])
    right = np.array([down[1], -down[0]])
    turned = points @ np.stack([right, down]).T
    low, high = turned.min(axis=0), turned.max(axis=0)
    side = float((high - low).max()) * scale
    across, along = (low + high) / 2 + np.array([0.0, lift * side])
    centre = across * right + along * down
    return CropFrame((float(centre[0]), float(centre[1])), side, float(np.arctan2(right[1], right[0])))
