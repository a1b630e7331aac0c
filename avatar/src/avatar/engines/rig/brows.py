"""Eyebrows, raised and lowered by the `brow` channel. Drawn per frame by the figure."""

from __future__ import annotations

import numpy as np
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.artwork import Brows, Linear
from avatar.engines.rig.paint import clear, paint
from avatar.engines.rig.pose import Pose, surface

START_X = 12.0
RAISE, LOWER = 5.0, 3.2
"""Units that a brow moves at brow = +1 and -1."""
_T = np.linspace(0.0, 1.0, 9)


class BrowPair:
    """Both brows, thick inside and thin outside; the inner ends fade into the skin."""

    def __init__(self, style: Brows) -> None:
        bow = style.arch * np.sin(np.pi * _T**1.25)
        swell = 0.66 + 0.34 * np.sin(np.pi * np.clip(0.1 + 0.75 * _T, 0, 1))
        thick = style.thickness * swell * (1.0 - 0.95 * _T**2.4)
        thick[:2] *= (0.30, 0.86)
        x, y = START_X + style.length * _T, style.y - bow + 2.6 * _T**4
        self._ring = np.concatenate(
            [np.stack([x, y - thick / 2], axis=1), np.stack([x, y + thick / 2], axis=1)[::-1]]
        )
        travel = 0.75 + 0.5 * np.sin(np.pi * _T)
        self._travel = np.concatenate([travel, travel[::-1]])
        stops = (
            (clear(style.colour, 0.60), 0.0),
            (clear(style.colour, 0.86), 0.2),
            (clear(style.colour, 0.95), 1.0),
        )
        end = START_X + style.length
        self._paints = {s: paint(Linear((s * START_X, 0.0), (s * end, 0.0), stops)) for s in (-1.0, 1.0)}

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        ring = self._ring.copy()
        ring[:, 1] -= (RAISE if pose["brow"] > 0 else LOWER) * pose["brow"] * self._travel
        control = geometry.loop(ring, (8, 9))
        depth = surface(control) + 3.0
        for side, brush in self._paints.items():
            placed = control * np.array([side, 1.0])
            turned = pose.turn(placed, depth)
            # The fade at the inner end goes along with the brow.
            shift = float(np.mean(turned[:, 0] - placed[:, 0]))
            moved = skia.Paint(brush)
            moved.setShader(brush.getShader().makeWithLocalMatrix(skia.Matrix.Translate(shift, 0.0)))
            canvas.drawPath(geometry.path(turned), moved)
