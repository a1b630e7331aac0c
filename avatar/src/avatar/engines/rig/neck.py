"""The neck: it follows the head at its top and the body at its foot. Drawn per frame by the figure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.artwork import Art
from avatar.engines.rig.paint import paint
from avatar.engines.rig.pose import Pose, map_points
from avatar.engines.rig.sheet import Sheet

JAW_Y, CHEST_Y = 70.0, 180.0
"""Above the first the neck moves with the head, below the second with the body."""
DEPTH = 10.0


class Neck:
    def __init__(self, art: Iterable[Art]) -> None:
        pieces = Sheet(art).pieces
        self._parts = []
        for piece in pieces:
            for control in piece.contours:
                t = np.clip((control[:, 1] - JAW_Y) / (CHEST_Y - JAW_Y), 0.0, 1.0)
                share = (t * t * (3.0 - 2.0 * t))[:, None]
                self._parts.append((control, share, piece.closed, paint(piece.fill, piece.stroke)))

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        for control, share, closed, brush in self._parts:
            with_head = map_points(pose.head, pose.turn(control, DEPTH))
            with_body = map_points(pose.body, control)
            canvas.drawPath(geometry.path(with_head * (1.0 - share) + with_body * share, closed), brush)
