"""Face axes of a head that may be turned: one half is foreshortened; used by the mouth of moving video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avatar.engines.mesh.axes import FaceAxes, Floats
from avatar.engines.mesh.lips import LipCurve, MouthShape
from avatar.face.landmarks import (
    LOWER_INNER_LIP,
    UPPER_INNER_LIP,
    UPPER_OUTER_LIP,
    Points,
)

_BEND = 0.12
"""Over how much of E the two halves blend into each other."""
_CORNER_SHARE = 0.6
_LIP_MIDDLE = (0, 13, 14, 17)


@dataclass(frozen=True, slots=True)
class TurnedAxes(FaceAxes):
    """u is straightened: a unit left and a unit right of the origin are the same length on the face itself.

    In the picture the horizontal place is mean * u + lean * (sqrt(u^2 + b^2) - b): slopes mean - lean far
    left and mean + lean far right of the origin, with a smooth bend between.
    """

    mean: float = 1.0
    lean: float = 0.0

    def to_local(self, xy: Floats) -> Floats:
        flat = FaceAxes.to_local(self, xy)
        m, d = float(self.mean), float(self.lean)
        shifted = flat[..., 0] + d * np.float32(_BEND)
        square = m * m - d * d
        u = (m * shifted - d * np.sqrt(shifted**2 + np.float32(_BEND**2) * square)) / square
        return np.asarray(np.stack([u, flat[..., 1]], axis=-1), np.float32)

    def to_pixels(self, uv: Floats) -> Floats:
        uv = np.asarray(uv, np.float32)
        u = uv[..., 0]
        flat = np.float32(self.mean) * u + np.float32(self.lean) * (
            np.sqrt(u**2 + np.float32(_BEND**2)) - np.float32(_BEND)
        )
        return FaceAxes.to_pixels(self, np.stack([flat, uv[..., 1]], axis=-1))

    def slope(self, u: Floats) -> Floats:
        """Picture units per unit of u: how much a movement along the face is foreshortened there."""
        bend = u / np.sqrt(u**2 + np.float32(_BEND**2))
        return np.asarray(np.float32(self.mean) + np.float32(self.lean) * bend, np.float32)

    @classmethod
    def of_mouth(cls, points: Points) -> TurnedAxes:
        """From landmarks (478, 3); the origin lies on the middle line of the lips, as high as the corners."""
        corners = points[[UPPER_INNER_LIP[0], UPPER_INNER_LIP[-1]], :2]
        plain = FaceAxes.of(points, corners.mean(axis=0))
        middle = float(plain.to_local(points[list(_LIP_MIDDLE), :2])[:, 0].mean())
        half = float(np.linalg.norm(corners[1] - corners[0])) / (2 * plain.unit_px)
        middle = float(np.clip(middle, -0.6 * half, 0.6 * half))
        origin = plain.to_pixels(np.array([middle, 0.0], np.float32))
        flat_width = float(np.linalg.norm(points[263, :2] - points[33, :2])) / plain.unit_px
        mean = float(np.clip(flat_width, 0.45, 1.0))
        # Corners at the same u on both sides: half + middle = mean * u - lean * k(u) on the left, and so on.
        straight = half / mean
        curl = np.sqrt(straight**2 + _BEND**2) - _BEND
        lean = float(np.clip(-middle / max(curl, 1e-3), -0.55 * mean, 0.55 * mean))
        return cls(origin, plain.right, plain.down, plain.unit_px, mean, lean)


def mouth_shape(points: Points) -> MouthShape:
    """The mouth of landmarks (478, 3) in straightened axes."""
    axes = TurnedAxes.of_mouth(points)
    local = axes.to_local(points[:, :2])
    upper, lower = (LipCurve.fit(_to_the_corners(local, row)) for row in (UPPER_INNER_LIP, LOWER_INNER_LIP))
    return MouthShape.between(axes, local, upper, lower)


def _to_the_corners(local: Floats, row: tuple[int, ...]) -> Floats:
    """The row of inner lip points, its ends moved out: the mesh ends inside the dark corners of a mouth."""
    points = local[list(row)].copy()
    for end, outer in ((0, UPPER_OUTER_LIP[0]), (-1, UPPER_OUTER_LIP[-1])):
        points[end] += _CORNER_SHARE * (local[outer] - points[end])
    return points
