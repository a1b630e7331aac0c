"""The torso bends, breathes and shrugs: every point of the body moves for itself, soft as cloth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.artwork import Art
from avatar.engines.rig.geometry import Points
from avatar.engines.rig.pieces import MovingArt, compile_pieces
from avatar.engines.rig.textures import View

CHEST_DEPTH, CHEST_HALF_WIDTH = 62.0, 245.0
"""The chest as half an ellipse when it turns, in units."""
HIPS_Y = 640.0
"""The torso leans about this height."""
BREATH_LIFT, BREATH_WIDEN = 3.4, 0.012
SHRUG_LIFT = 24.0
LEAN_PER_SWAY_DEG = 1.0


@dataclass(frozen=True, slots=True)
class TorsoPose:
    """Angles in degrees as those of the head; breath 0..1; shrug of the picture's left and right shoulder."""

    yaw_deg: float = 0.0
    lean_deg: float = 0.0
    breath: float = 0.0
    shrug_left: float = 0.0
    shrug_right: float = 0.0


class TorsoField:
    """Weights of some points (n, 2), from which `move` computes where they lie in a pose."""

    def __init__(self, points: Points) -> None:
        x, y = points[:, 0], points[:, 1]
        self._points = points
        self._depth = CHEST_DEPTH * np.sqrt(np.clip(1.0 - (x / CHEST_HALF_WIDTH) ** 2, 0.0, 1.0))
        upper = 1.0 - geometry.smoothstep(250.0, 470.0, y)
        self._lift = geometry.smoothstep(26.0, 130.0, np.abs(x)) * upper
        self._rise = 0.35 * (1.0 - geometry.smoothstep(200.0, 520.0, y))
        self._widen = x * np.exp(-(((y - 290.0) / 95.0) ** 2))
        self._right = geometry.smoothstep(-40.0, 60.0, x)

    def move(self, pose: TorsoPose) -> Points:
        """Returns the points in `pose`, float64 (n, 2)."""
        out = self._points.copy()
        yaw = math.radians(pose.yaw_deg)
        out[:, 0] = out[:, 0] * math.cos(yaw) + self._depth * math.sin(yaw)
        out[:, 0] += BREATH_WIDEN * pose.breath * self._widen
        shrug = pose.shrug_left + (pose.shrug_right - pose.shrug_left) * self._right
        out[:, 1] -= BREATH_LIFT * pose.breath * (self._lift + self._rise)
        out[:, 1] -= SHRUG_LIFT * shrug * self._lift
        out[:, 0] *= 1.0 - 0.035 * shrug * self._lift
        lean = math.radians(pose.lean_deg)
        sine, cosine = math.sin(lean), math.cos(lean)
        above = out[:, 1] - HIPS_Y
        return np.stack(
            [out[:, 0] * cosine - above * sine, HIPS_Y + out[:, 0] * sine + above * cosine], axis=1
        )


class Torso:
    """The clothes of a character. Immutable after compiling: threads may share it."""

    def __init__(self, art: Iterable[Art], view: View | None = None) -> None:
        self._art = MovingArt(compile_pieces(art, {}), view)
        self._field = TorsoField(self._art.points)

    def draw(self, canvas: skia.Canvas, pose: TorsoPose) -> None:
        self._art.draw(canvas, self._field.move(pose))
