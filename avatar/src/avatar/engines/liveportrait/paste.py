"""The crop that the networks see, and the way of their picture back into the whole frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]

_MARGIN, _RAMP = 0.008, 0.05
"""Of the crop's side: wholly hidden border, and the way from there to wholly shown."""


def cut(picture: Pixels, matrix: Matrix, side_px: int) -> Pixels:
    """The crop of `side_px` by the (2, 3) `matrix` from picture to crop; black beyond the picture's edge."""
    return np.asarray(cv2.warpAffine(picture, matrix, (side_px, side_px)), np.uint8)


def shrunk(crop: Pixels, side_px: int) -> Pixels:
    """The crop as the networks take it."""
    if crop.shape[0] == side_px:
        return crop
    return np.asarray(cv2.resize(crop, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)


def soft_mask(side_px: int) -> Pixels:
    """255 inside, falling smoothly to 0 at the border; corners are round. uint8 (side, side)."""
    across = (np.arange(side_px) + 0.5) / side_px
    inwards = np.minimum(across, 1 - across)
    rise = np.clip((inwards - _MARGIN) / _RAMP, 0, 1)
    rise = rise * rise * (3 - 2 * rise)
    return np.asarray(np.rint(255 * np.outer(rise, rise)), np.uint8)


@dataclass(frozen=True, slots=True)
class Paste:
    """Where a crop lies in a frame of one size: everything that does not change with the crop's content.

    x, y: the frame's pixel where `alpha` begins. alpha: float32 (h, w), the crop's share there.
    """

    x: int
    y: int
    to_place: Matrix
    alpha: npt.NDArray[np.float32]

    @classmethod
    def of(cls, matrix: Matrix, mask: Pixels, frame: tuple[int, int]) -> Paste | None:
        """For a frame of (width, height); None when the crop lies outside. `matrix` as for `cut`."""
        side = mask.shape[0]
        back: Matrix = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
        corners = np.array([[0, 0], [side, 0], [side, side], [0, side]]) @ back[:, :2].T + back[:, 2]
        left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
        right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 2, frame)
        if right <= left or bottom <= top:
            return None
        back[:, 2] -= np.array([left, top], np.float64)
        alpha = cv2.warpAffine(mask, back, (int(right - left), int(bottom - top)))
        return cls(int(left), int(top), back, np.asarray(alpha, np.float32) / np.float32(255))

    def onto(self, frame: Pixels, crop: Pixels, strength: float = 1.0) -> None:
        """Draw `crop` (side, side, 3), of the mask's size, over `frame` (h, w, 3) in place; fainter by
        `strength` (0..1).
        """
        height, width = self.alpha.shape
        under = frame[self.y : self.y + height, self.x : self.x + width]
        over = cv2.warpAffine(crop, self.to_place, (width, height))
        share = self.alpha if strength >= 1 else self.alpha * np.float32(strength)
        under[:] = cv2.blendLinear(over, np.ascontiguousarray(under), share, 1 - share)
