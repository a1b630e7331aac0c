"""How far eyes and lips are open, as LivePortrait measures it, from MediaPipe's points."""

from __future__ import annotations

import numpy as np

from avatar.engines.liveportrait.motion_values import Array
from avatar.face.landmarks import Points

_LEFT_EYE, _RIGHT_EYE = (159, 145, 33, 133), (386, 374, 362, 263)
_LIPS = (13, 14, 61, 291)
"""Upper and lower edge, then the corners; of the mouth the inner edges and the outer corners."""
OPEN_LIPS = 0.03
"""From here on a source's lips count as open."""


def eye_openings(points: Points) -> Array:
    """Height over width of the picture's left and right eye, (2,)."""
    return np.array([_opening(points, _LEFT_EYE), _opening(points, _RIGHT_EYE)], np.float32)


def lip_opening(points: Points) -> float:
    """The gap between the lips over the width of the mouth."""
    return _opening(points, _LIPS)


def _opening(points: Points, edges: tuple[int, int, int, int]) -> float:
    upper, lower, one, other = (points[index, :2].astype(np.float64) for index in edges)
    return float(np.linalg.norm(upper - lower) / (np.linalg.norm(one - other) + 1e-6))
