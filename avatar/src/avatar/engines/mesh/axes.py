"""Coordinates that move with a face, u along the eye line and v down, in E; all of the engine uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from avatar.face.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, Points

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FaceAxes:
    """A frame in the picture plane. `origin` in pixels, `right` and `down` unit vectors, `unit_px` pixels
    per E.
    """

    origin: Floats
    right: Floats
    down: Floats
    unit_px: float

    @classmethod
    def of(cls, points: Points, origin: Floats) -> FaceAxes:
        """Axes of the landmarks (478, 3), with the given origin (2,) in pixels.

        E is measured in three dimensions, so that it does not shrink when the head turns.
        """
        across = points[RIGHT_EYE_OUTER] - points[LEFT_EYE_OUTER]
        right = across[:2] / np.float32(max(1e-6, float(np.hypot(across[0], across[1]))))
        down = np.array([-right[1], right[0]], np.float32)
        unit = float(np.sqrt(np.sum(across.astype(np.float64) ** 2)))
        return cls(np.asarray(origin, np.float32), right.astype(np.float32), down, max(1e-3, unit))

    def to_local(self, xy: Floats) -> Floats:
        """Pixels (..., 2) to (u, v) (..., 2)."""
        x, y = np.moveaxis((xy - self.origin) / np.float32(self.unit_px), -1, 0)
        u, v = x * self.right[0] + y * self.right[1], x * self.down[0] + y * self.down[1]
        return np.asarray(np.stack([u, v], axis=-1), np.float32)

    def to_pixels(self, uv: Floats) -> Floats:
        """(u, v) (..., 2) to pixels (..., 2)."""
        uv = np.asarray(uv, np.float32)
        along: Floats = uv[..., :1] * self.right + uv[..., 1:] * self.down
        return np.asarray(self.origin + along * np.float32(self.unit_px), np.float32)

    def vectors_to_pixels(self, du: Floats, dv: Floats) -> tuple[Floats, Floats]:
        """Displacements in E along the axes to displacements in pixels along the picture's x and y."""
        unit = np.float32(self.unit_px)
        dx = (du * self.right[0] + dv * self.down[0]) * unit
        dy = (du * self.right[1] + dv * self.down[1]) * unit
        return dx, dy


def smoothstep(low: float, high: float, x: npt.NDArray[np.floating[Any]]) -> Floats:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
