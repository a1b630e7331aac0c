"""One picture to make, as the animator is told; needs numpy alone."""

from __future__ import annotations

from dataclasses import dataclass

from avatar.engines.liveportrait.motion_values import Array


@dataclass(frozen=True, slots=True)
class Pose:
    """Keypoints (21, 3) of the source as it is and as it should be.

    eyes: the source's left and right opening and the wanted one, (3,); lips: the source's and the wanted one,
    (2,): heights over widths, added before stitching. shut_lips (2,): the same, added after it.
    """

    source: Array
    driven: Array
    eyes: Array | None = None
    lips: Array | None = None
    shut_lips: Array | None = None
