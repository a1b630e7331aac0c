"""Measures how a head is turned, and how much of a new mouth its turn lets through; for the engines
that draw mouths into footage.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avatar.face.landmarks import (
    CHIN,
    FOREHEAD_TOP,
    LEFT_EYE_OUTER,
    POINT_COUNT_106,
    RIGHT_EYE_OUTER,
    Points,
)
from avatar.face.layouts import layout_of

Floats = npt.NDArray[np.float32]

YAW_FULL_DEG, YAW_GONE_DEG = 38.0, 54.0
PITCH_FULL_DEG, PITCH_GONE_DEG = 25.0, 36.0
ROLL_FULL_DEG, ROLL_GONE_DEG = 50.0, 62.0
"""Up to the first a mouth is drawn whole, beyond the second not at all: a profile hides half of it, and what
the mesh says of a face that lies down or looks at the floor is no longer where the face is.
"""
_YAW_SHRINK, _PITCH_STRETCH = 0.78, 1.1
"""The mesh reads a turned head too flat, a nodding one too deep: measured over true poses, on clips of
known pose.
"""
_BESIDE_PER_DEG = 0.0095
_UPRIGHT_PITCH_DEG = 2.5
"""What a head that looks straight ahead reads as."""


@dataclass(frozen=True, slots=True)
class HeadTurn:
    """Degrees: yaw to the picture's right, pitch down, roll clockwise."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float

    @property
    def shown(self) -> float:
        """Returns how much of a mouth that was drawn for a face from the front may be shown, 0..1."""
        limits = (
            (self.yaw_deg, YAW_FULL_DEG, YAW_GONE_DEG),
            (self.pitch_deg, PITCH_FULL_DEG, PITCH_GONE_DEG),
            (self.roll_deg, ROLL_FULL_DEG, ROLL_GONE_DEG),
        )
        return min(float(_fading(np.float32(angle), full, gone)) for angle, full, gone in limits)


def turn_of(points: Points) -> HeadTurn:
    """Of landmarks (478, 3); of (106, 3), which have no depth, yaw and roll alone, and yaw roughly."""
    if len(points) == POINT_COUNT_106:
        return _flat_turn(points)
    across, down = points[RIGHT_EYE_OUTER] - points[LEFT_EYE_OUTER], points[CHIN] - points[FOREHEAD_TOP]
    nod = float(np.degrees(np.arctan2(down[2], max(float(np.hypot(down[0], down[1])), 1e-6))))
    return HeadTurn(
        yaw_deg=float(yaw_deg(points)),
        pitch_deg=(nod - _UPRIGHT_PITCH_DEG) / _PITCH_STRETCH,
        roll_deg=float(np.degrees(np.arctan2(across[1], across[0]))),
    )


def _flat_turn(points: Points) -> HeadTurn:
    """By how far the tip of the nose lies beside the middle of the eyes: 0.0095 of their distance a degree
    (measured on clips of known pose, up to 45 degrees; more beyond).
    """
    layout = layout_of(points)
    left, right = (points[index, :2] for index in layout.outer_eyes)
    across = right - left
    distance = max(float(np.hypot(*across)), 1e-6)
    beside = float((points[layout.nose_tip, :2] - (left + right) / 2) @ across) / distance**2
    yaw = float(np.clip(beside / _BESIDE_PER_DEG, -90, 90))
    return HeadTurn(yaw, 0.0, float(np.degrees(np.arctan2(across[1], across[0]))))


def yaw_deg(points: Points) -> Floats:
    """Returns the yaw of each face (..., 478, 3) to the picture's right in degrees, however it is tilted."""
    across = points[..., RIGHT_EYE_OUTER, :] - points[..., LEFT_EYE_OUTER, :]
    flat = np.maximum(np.hypot(across[..., 0], across[..., 1]), 1e-6)
    measured = np.degrees(np.arctan2(across[..., 2], flat))
    return np.asarray(np.clip(measured / _YAW_SHRINK, -90, 90), np.float32)


def visible_share_by_yaw(yaw: Floats) -> Floats:
    """1 up to about 40 degrees, 0 in profile: there half of the mouth is hidden and cannot be driven."""
    return _fading(yaw, YAW_FULL_DEG, YAW_GONE_DEG)


def _fading(angle: Floats | np.float32, full_deg: float, gone_deg: float) -> Floats:
    t = np.clip((np.abs(angle) - full_deg) / (gone_deg - full_deg), 0, 1)
    return np.asarray(1 - t * t * (3 - 2 * t), np.float32)
