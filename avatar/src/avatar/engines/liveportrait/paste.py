"""The crop that the networks see, and the way of their picture back into the whole frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Levels = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

_RAMP = 1 / 32
"""Of the crop's side: the way from its border, which is hidden, to where it is wholly shown."""
_WEIGHT = 1024
"""Of both pictures together where they are mixed: OpenCV divides by a hundred-thousandth more than the sum of
the weights, which made of them a plain 200 a 199.998."""


def cut(picture: Pixels, matrix: Matrix, side_px: int) -> Pixels:
    """The crop of `side_px` by the (2, 3) `matrix` from picture to crop; black beyond its edge. Of a
    float32 picture it is what would be rounded to levels.
    """
    return np.asarray(cv2.warpAffine(picture, matrix, (side_px, side_px)), picture.dtype)


def shrunk(crop: Pixels, side_px: int) -> Pixels:
    """The crop as the networks take it."""
    if crop.shape[0] == side_px:
        return crop
    return np.asarray(cv2.resize(crop, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)


def soft_mask(side_px: int) -> Pixels:
    """255 inside, falling evenly to 0 at the left and upper border and just beyond the others; corners are
    round. uint8 (side, side); of 512 pixels it is the published one, value for value.
    """
    ramp = side_px * _RAMP
    at = np.arange(side_px)
    outside = np.maximum(np.maximum(ramp - at, at - (side_px - ramp)), 0)
    distance = np.hypot(outside[:, None], outside)
    return np.asarray(np.floor(255 * np.clip(1 - distance / ramp, 0, 1)), np.uint8)


@dataclass(frozen=True, slots=True)
class Paste:
    """The place of a crop in a frame of one size: everything that does not change with the crop's content.

    x, y: the frame's pixel where `alpha` begins. alpha: float32 (h, w), the crop's share there. to_place:
    from the crop to the frame from row `y` on.
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
        back[1, 2] -= top
        alpha = _warped(mask, back, left, (right, bottom - top))
        return cls(int(left), int(top), back, np.asarray(alpha, np.float32) / np.float32(255))

    def onto(self, frame: Pixels | Levels, crop: Pixels, strength: float = 1.0) -> None:
        """Draw `crop` (side, side, 3), of the mask's size, over `frame` (h, w, 3) in place; fainter by
        `strength` (0..1). Rounds to whole levels, unless the frame is float32.
        """
        height, width = self.alpha.shape
        under = frame[self.y : self.y + height, self.x : self.x + width]
        over = _warped(crop, self.to_place, self.x, (self.x + width, height)).astype(frame.dtype, copy=False)
        share = self.alpha * np.float32(_WEIGHT * min(strength, 1.0))
        rest = np.float32(_WEIGHT) - share
        under[:] = cv2.blendLinear(np.ascontiguousarray(over), np.ascontiguousarray(under), share, rest)


def _warped(picture: Pixels, matrix: Matrix, left: int, size: tuple[int, int]) -> Pixels:
    """`picture` moved onto (width, height), of which the columns from `left` on are given.

    OpenCV looks a pixel up at 1/32 of a pixel, by sums of rounded steps that begin at column 0: begun at
    `left`, some would be looked up beside where they are in the whole frame, and by two levels another.
    """
    width, height = (int(length) for length in size)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height)), np.uint8)[:, left:]
