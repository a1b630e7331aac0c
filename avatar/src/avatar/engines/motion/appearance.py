"""Detects frames whose mouth cannot be seen: a hand, a microphone or nobody is where it should be.

The mesh is fitted to whatever is there and says nothing of what covers a face. So the colours at fixed
points of the lower face are compared with those of the whole clip; used by the track and the engine.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from avatar.engines.base import Pixels
from avatar.face.landmarks import Points

Floats = npt.NDArray[np.float32]

# Lips (outer half), skin above, corners, chin and cheeks: teeth and the dark of a mouth are left out.
PLACES = (
    0, 37, 267, 39, 269, 17, 84, 314, 91, 321, 164, 167, 393, 165, 391, 92, 322, 57, 287, 18, 83, 313,
    182, 406, 200, 199, 194, 418, 152, 148, 377, 176, 400, 205, 425, 206, 426, 212, 432, 214, 434, 2, 98, 327,
)  # fmt: skip
_LIKE_NOTHING, _LIKE_SELF = 0.35, 0.6
_REACH_E = 0.02


def sample(picture: Pixels, points: Points) -> Floats:
    """CIE Lab colours at PLACES, float32 (places, 3); points (478, 3) in pixels of the BGR picture."""
    height, width = picture.shape[:2]
    reach = _REACH_E * float(np.linalg.norm(points[263] - points[33]))
    offsets = np.array([(x, y) for x in (-reach, 0, reach) for y in (-reach, 0, reach)], np.float32)
    at = points[list(PLACES), None, :2] + offsets
    columns = np.clip(np.rint(at[..., 0]), 0, width - 1).astype(np.intp)
    rows = np.clip(np.rint(at[..., 1]), 0, height - 1).astype(np.intp)
    mean = picture[rows, columns].astype(np.float32).mean(axis=1, keepdims=True) / np.float32(255)
    return np.asarray(cv2.cvtColor(mean, cv2.COLOR_BGR2Lab)[:, 0], np.float32)


@dataclass(frozen=True, slots=True)
class Likeness:
    """The usual look of the lower face of one person: the pattern of its colours, whatever the light."""

    pattern: Floats

    @classmethod
    def of(cls, samples: Floats) -> Likeness:
        """From samples of many frames (n, places, 3); rows of NaN are left out."""
        return cls(_pattern(np.nanmedian(samples, axis=0)[None])[0])

    def visible(self, samples: Floats) -> Floats:
        """0 covered .. 1 seen, for samples (n, places, 3); 0 for rows of NaN."""
        found = _pattern(samples)
        alike = np.einsum("npc,pc->n", found, self.pattern)
        return np.asarray(
            np.clip((np.nan_to_num(alike) - _LIKE_NOTHING) / (_LIKE_SELF - _LIKE_NOTHING), 0, 1), np.float32
        )


def _pattern(samples: Floats) -> Floats:
    """Centred over the places and of length one, so that products are correlations."""
    centred = samples - samples.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(centred / np.maximum(length, 1e-6), np.float32)
