"""Puts MediaPipe's 478 points where other detectors' points are expected: LatentSync's three anchors and
LivePortrait's crop. Both GPU engines align faces with it.

Their detectors number faces differently. The bridge between them is iBUG's 68 points, to which both are
mapped in common use: InsightFace's 43, 48, 49, 51, 50 are iBUG 17-21 (left brow), its 102-105 and 101 are
22-26 (right brow), 74 and 86 are 29 and 30 (bridge and tip of the nose); 77 and 83 are the wings of the
nose, which iBUG does not have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avatar.face.landmarks import (
    LEFT_BROW,
    LEFT_EYE_LOWER,
    LEFT_EYE_UPPER,
    LOWER_OUTER_LIP,
    RIGHT_BROW,
    RIGHT_EYE_LOWER,
    RIGHT_EYE_UPPER,
    UPPER_OUTER_LIP,
    Points,
)

Floats = npt.NDArray[np.float64]

NOSE_ANCHOR = (5, 4, 129, 358)
"""Lower bridge, tip, and the wing on either side."""

JAW = (
    127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148,
    152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356,
)  # fmt: skip
"""From temple to temple by the chin. LivePortrait's points have no forehead: its box ends at the brows."""
_NOSE = (168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 129, 358)
_IRISES = tuple(range(468, 478))
LIVEPORTRAIT_POINTS = (
    *JAW, *LEFT_BROW, *RIGHT_BROW, *LEFT_EYE_UPPER, *LEFT_EYE_LOWER, *RIGHT_EYE_UPPER, *RIGHT_EYE_LOWER,
    *UPPER_OUTER_LIP, *LOWER_OUTER_LIP, *_NOSE, *_IRISES,
)  # fmt: skip
_LEFT_EYE = (33, 159, 133, 145)
_RIGHT_EYE = (362, 386, 263, 374)
"""Corner, upper lid, corner, lower lid."""
_MOUTH_CORNERS = (61, 291)


def latentsync_anchors(points: Points) -> Floats:
    """Left brow, right brow, nose of landmarks (478, 3): float64 (3, 2), in their pixels, not rounded.

    "Left" is the picture's side, as in the template that LatentSync aligns to.
    """
    flat = points[:, :2].astype(np.float64)
    groups = (LEFT_BROW, RIGHT_BROW, NOSE_ANCHOR)
    return np.stack([flat[list(group)].mean(axis=0) for group in groups])


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
    """The square that LivePortrait shows its networks, from landmarks (478, 3).

    Its axis runs from the middle of the eyes to the middle of the mouth. The box is the extent of the face in
    that frame, made square, times `scale`, and moved along the axis by `lift` of its side (up: negative).
    The defaults are those of LivePortrait for a source; it drives with 2.2 and -0.1.
    """
    flat = points[:, :2].astype(np.float64)
    eyes = (flat[list(_LEFT_EYE)].mean(axis=0) + flat[list(_RIGHT_EYE)].mean(axis=0)) / 2
    mouth = flat[list(_MOUTH_CORNERS)].mean(axis=0)
    return crop_around(flat[list(LIVEPORTRAIT_POINTS)], eyes, mouth, scale=scale, lift=lift)


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
