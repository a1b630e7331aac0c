"""The 478 points of a face and the groups among them; what trackers give and engines use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avatar.errors import InvalidInput

Points = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.float32]

MIN_SCORE = 0.5
"""Below it, what a detector found is no face."""
POINT_COUNT = 478
POINT_COUNT_106 = 106
OUTER_EYES = {POINT_COUNT: (33, 263), POINT_COUNT_106: (35, 93)}
"""Outer corners of the left and the right eye, by how many points there are."""

# Indices follow the canonical face mesh of MediaPipe (468 skin points, then 2 x 5 iris points).
# "Left" and "right" are the picture's sides. Lip and lid rows run from the picture's left to its right.
UPPER_INNER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_INNER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
UPPER_OUTER_LIP = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LOWER_OUTER_LIP = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
LEFT_EYE_UPPER = (33, 246, 161, 160, 159, 158, 157, 173, 133)
LEFT_EYE_LOWER = (33, 7, 163, 144, 145, 153, 154, 155, 133)
RIGHT_EYE_UPPER = (362, 398, 384, 385, 386, 387, 388, 466, 263)
RIGHT_EYE_LOWER = (362, 382, 381, 380, 374, 373, 390, 249, 263)
LEFT_IRIS = (468, 469, 470, 471, 472)
RIGHT_IRIS = (473, 474, 475, 476, 477)
LEFT_BROW = (70, 63, 105, 66, 107)
RIGHT_BROW = (336, 296, 334, 293, 300)
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
LEFT_EYE_OUTER, RIGHT_EYE_OUTER = 33, 263
LEFT_MOUTH_CORNER, RIGHT_MOUTH_CORNER = 61, 291
FOREHEAD_TOP, CHIN, NOSE_TIP, NOSE_BASE = 10, 152, 1, 2
LEFT_EAR, RIGHT_EAR = 234, 454


@dataclass(frozen=True, slots=True)
class FaceLandmarks:
    """One face found in a picture.

    points: float32 (478, 3): x right, y down, in pixels of the given picture; z in the same unit,
        smaller is nearer. From `open_aligning_tracker` also (106, 3) with z = 0, see `avatar.face.layouts`.
    score: 0..1, how sure the detector was that this is a face.
    """

    points: Points
    score: float

    @property
    def eye_distance_px(self) -> float:
        """E, the distance between the outer eye corners in the picture plane: about 90 mm on an adult."""
        left, right = OUTER_EYES[len(self.points)]
        across = self.points[right, :2] - self.points[left, :2]
        return float(np.hypot(across[0], across[1]))

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of the points, in pixels."""
        low, high = self.points[:, :2].min(axis=0), self.points[:, :2].max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def area_px(self) -> float:
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)

    def shift(self, dx: float, dy: float) -> FaceLandmarks:
        """The same face in a picture whose origin lies (dx, dy) pixels away: for faces found in a crop."""
        return FaceLandmarks(self.points + np.array([dx, dy, 0.0], np.float32), self.score)

    def scale(self, factor: float) -> FaceLandmarks:
        """The same face in a picture `factor` times as large."""
        return FaceLandmarks((self.points * np.float32(factor)).astype(np.float32), self.score)


def require_bgr(picture: Picture) -> None:
    """Raises InvalidInput `picture.bad_shape` for what is not (h, w, 3) of 8 bits."""
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        shape = f"{picture.dtype} {picture.shape}"
        raise InvalidInput("picture.bad_shape", f"Expected an 8-bit BGR picture, got {shape}.")
