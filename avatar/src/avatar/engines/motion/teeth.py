"""Finds frames of a clip that show a person's upper teeth, and cuts them out; for the motion engine."""

from __future__ import annotations

import numpy as np

from avatar.engines.base import Pixels
from avatar.engines.mesh import teeth
from avatar.engines.mesh.teeth import Plate
from avatar.engines.motion.turned import mouth_shape
from avatar.face.landmarks import Points

MIN_GAP_E, MAX_GAP_E = 0.045, 0.19
"""Openings of the source's mouth in which a row of upper teeth may show."""
_MIN_EDGE_E = 0.02


def own_upper_teeth(picture: Pixels, points: Points) -> Plate | None:
    """None when the frame shows no clear row of teeth. points (478, 3) in pixels of the BGR picture.

    A row that ends where the lips meet was cut short by the upper lip: in an open mouth it would be a strip.
    """
    plate = teeth.own_upper_teeth(picture, mouth_shape(points))
    if plate is None:
        return None
    rows = np.flatnonzero(plate.pixels[:, int(plate.origin[0]), 3] > 0.5)
    edge = (int(rows[-1]) - plate.origin[1]) / plate.per_e if len(rows) else 0.0
    return plate if edge >= _MIN_EDGE_E else None
