"""Which frames of a clip may show a person's upper teeth, and how to cut them out; for the motion engine."""

from __future__ import annotations

from avatar.engines.base import Pixels
from avatar.engines.mesh import own_teeth
from avatar.engines.mesh.teeth import Plate
from avatar.engines.motion.turned import mouth_shape
from avatar.face.landmarks import Points

LEAST_GAP_E, MOST_GAP_E = 0.045, 0.17
"""Openings of the source's mouth in which a row of upper teeth may show."""


def own_upper_teeth(picture: Pixels, points: Points) -> Plate | None:
    """None when the frame shows no clear row of teeth. points (478, 3) in pixels of the BGR picture."""
    return own_teeth.own_upper_teeth(picture, mouth_shape(points))
