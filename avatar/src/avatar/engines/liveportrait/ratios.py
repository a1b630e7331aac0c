"""Measures how far eyes and lips are open as LivePortrait does, from the points of either detector."""

from __future__ import annotations

import numpy as np

from avatar.engines.liveportrait.motion_values import Array
from avatar.face.landmarks import Points
from avatar.face.layouts import layout_of

OPEN_LIPS = 0.03
"""From here on a source's lips count as open."""


def eye_openings(points: Points) -> Array:
    """Height over width of the picture's left and right eye, (2,)."""
    return np.array([_opening(points, eye) for eye in layout_of(points).eyes], np.float32)


def lip_opening(points: Points) -> float:
    """The gap between the lips over the width of the mouth."""
    return _opening(points, layout_of(points).lips)


def _opening(points: Points, edges: tuple[int, ...]) -> float:
    upper, lower, one, other = (points[index, :2].astype(np.float64) for index in edges)
    return float(np.linalg.norm(upper - lower) / (np.linalg.norm(one - other) + 1e-6))
