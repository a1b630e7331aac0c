"""The motion of a face in one picture as numbers, and the picture to make of it; needs numpy alone.

Formulas: LivePortrait (arXiv 2407.03168), equations 2 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_BIN_DEG, _FIRST_BIN_DEG = 3.0, -97.5


@dataclass(frozen=True, slots=True)
class Motion:
    """All float32. kp, exp: (21, 3); rotation: (3, 3), applied from the right; t: (3,), z unused."""

    kp: Array
    exp: Array
    rotation: Array
    t: Array
    scale: float

    def keypoints(self) -> Array:
        """Returns the implicit keypoints (21, 3): x right, y down, z inwards, the crop being -1..1."""
        shift = np.array([self.t[0], self.t[1], 0], np.float32)
        placed = np.float32(self.scale) * (self.kp @ self.rotation + self.exp) + shift
        return np.asarray(placed, np.float32)


def degrees_of(logits: Array) -> Array:
    """Angles (n,) from logits over bins (n, 66): the bin that is expected, 3 degrees each, around zero."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    expected = shares @ np.arange(logits.shape[1], dtype=np.float32)
    return np.asarray(expected * _BIN_DEG + _FIRST_BIN_DEG, np.float32)


def rotation_of(pitch_deg: float, yaw_deg: float, roll_deg: float) -> Array:
    """(Rz Ry Rx) transposed, (3, 3): for row vectors, keypoints @ R."""
    (sx, cx), (sy, cy), (sz, cz) = (
        (np.sin(angle), np.cos(angle)) for angle in np.radians([pitch_deg, yaw_deg, roll_deg])
    )
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray((about_z @ about_y @ about_x).T, np.float32)


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
