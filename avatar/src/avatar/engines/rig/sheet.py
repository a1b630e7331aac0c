"""Compiled pieces, drawn as they lie or turned with the head. Used for all but eyes, brows and mouth."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import skia

from avatar.engines.rig.artwork import Art
from avatar.engines.rig.pieces import MovingArt, compile_pieces
from avatar.engines.rig.pose import CHIN_DROP, Pose, jaw_weight, surface
from avatar.engines.rig.textures import View

_SWING_FROM, _SWING_LENGTH = -40.0, 200.0
"""Hair swings not at all above the first height, fully that much below it (units)."""


class Sheet:
    """Immutable after compiling: safe to draw from several threads."""

    def __init__(
        self, art: Iterable[Art], masks: dict[str, skia.Path] | None = None, view: View | None = None
    ) -> None:
        self.masks: dict[str, skia.Path] = dict(masks or {})
        self.pieces = compile_pieces(art, self.masks)
        self._art = MovingArt(self.pieces, view)
        pieces = self._art.pieces
        self._still = [piece.path for piece in pieces]
        sizes = [sum(map(len, piece.contours)) for piece in pieces]
        points = self._art.points

        def column(name: str) -> npt.NDArray[np.float64]:
            values = np.array([float(getattr(piece, name)) for piece in pieces])
            return np.concatenate([np.repeat(values, sizes), values])

        depth = surface(points) * column("lift") + column("depth")
        chin_drop = column("jaw") * jaw_weight(points[:, 1]) * CHIN_DROP
        fall = np.clip((points[:, 1] - _SWING_FROM) / _SWING_LENGTH, 0.0, 1.3)
        swing = column("swing") * fall * fall
        self._terms = np.column_stack([points, depth, np.ones(len(points)), chin_drop, swing])

    def draw_still(self, canvas: skia.Canvas) -> None:
        """Draw as it lies in the artwork: for the body and the studio."""
        for path, brush in zip(self._still, self._art.brushes, strict=True):
            canvas.drawPath(path, brush)

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        """Draw on the head of the pose."""
        if self.pieces:
            turned = pose.on_head
            moved = np.stack([pose["jaw"] * turned[1], pose.swing * pose.along_head])
            self._art.draw(canvas, self._terms @ np.concatenate([turned, moved]))
