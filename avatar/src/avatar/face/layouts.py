"""Indices of the points of a face in the two numberings that detectors use: MediaPipe's 478 and
InsightFace's 106. What aligns faces asks here, and so takes both.

The bridge between them is iBUG's 68 points, to which both are mapped in common use: InsightFace's 43, 48, 49,
51, 50 are iBUG 17-21 (left brow), its 102-105 and 101 are 22-26 (right brow), 74 and 86 are 29 and 30 (bridge
and tip of the nose), 62 and 60 the inner edges of the lips; 77 and 83 are the wings of the nose, which iBUG
does not have.
"""

from __future__ import annotations

from dataclasses import dataclass

from avatar.face.landmarks import (
    LEFT_BROW,
    LEFT_EYE_LOWER,
    LEFT_EYE_UPPER,
    LOWER_OUTER_LIP,
    OUTER_EYES,
    POINT_COUNT,
    POINT_COUNT_106,
    RIGHT_BROW,
    RIGHT_EYE_LOWER,
    RIGHT_EYE_UPPER,
    UPPER_OUTER_LIP,
    Points,
)

JAW = (
    127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148,
    152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356,
)  # fmt: skip
"""From temple to temple by the chin. LivePortrait's points have no forehead: its box ends at the brows."""
NOSE_ANCHOR = (5, 4, 129, 358)
"""Lower bridge, tip, and the wing on either side."""
_NOSE = (168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 129, 358)
_IRISES = tuple(range(468, 478))

Group = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Numbers of points; "left" is the picture's side.

    anchors: LatentSync's left brow, right brow, nose. box: by whose extent LivePortrait cuts.
    eyes: left and right, each upper and lower lid, then the corners. lips: the inner edges, then the outer
    corners.
    """

    anchors: tuple[Group, Group, Group]
    box: Group
    eyes: tuple[Group, Group]
    lips: Group
    nose_tip: int
    outer_eyes: tuple[int, int]


MESH = Layout(
    anchors=(LEFT_BROW, RIGHT_BROW, NOSE_ANCHOR),
    box=(
        *JAW, *LEFT_BROW, *RIGHT_BROW, *LEFT_EYE_UPPER, *LEFT_EYE_LOWER, *RIGHT_EYE_UPPER, *RIGHT_EYE_LOWER,
        *UPPER_OUTER_LIP, *LOWER_OUTER_LIP, *_NOSE, *_IRISES,
    ),
    eyes=((159, 145, 33, 133), (386, 374, 362, 263)),
    lips=(13, 14, 61, 291),
    nose_tip=1,
    outer_eyes=OUTER_EYES[POINT_COUNT],
)  # fmt: skip
"""MediaPipe's."""
POINTS_106 = Layout(
    anchors=((43, 48, 49, 51, 50), (101, 102, 103, 104, 105), (74, 77, 83, 86)),
    box=tuple(range(POINT_COUNT_106)),
    eyes=((40, 33, 35, 39), (94, 87, 89, 93)),
    lips=(62, 60, 52, 61),
    nose_tip=86,
    outer_eyes=OUTER_EYES[POINT_COUNT_106],
)
"""InsightFace's."""


def layout_of(points: Points) -> Layout:
    """Of landmarks (478, 3) or (106, 3)."""
    return POINTS_106 if len(points) == POINT_COUNT_106 else MESH
