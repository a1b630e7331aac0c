"""Rotates the sprites of overlays about the middle of their boxes; overlays call it."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from avatar.compose.blend import Sprite
from avatar.compose.layout import Rect


def rotate(sprite: Sprite, degrees: float, box: Rect) -> Sprite:
    """Returns `sprite` clockwise by `degrees` about the middle of `box`, as BGRA with smooth edges and
    nothing cut off; at 0 degrees itself.

    It may lie up to half a pixel beside its exact place: whole pixels keep quarter turns sharp.
    """
    if degrees == 0:
        return sprite
    matrix, area = _transform(sprite.rect, degrees, box)
    pixels = sprite.pixels
    if pixels.shape[2] == 3:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA), np.uint8)
    # Straight alpha would let colour of transparent parts into the edges.
    joined = cv2.cvtColor(pixels, cv2.COLOR_RGBA2mRGBA)
    rotated = cv2.warpAffine(joined, matrix, (area.width, area.height), flags=cv2.INTER_LINEAR)
    pixels = np.asarray(cv2.cvtColor(rotated, cv2.COLOR_mRGBA2RGBA), np.uint8)
    return Sprite(pixels, area.x, area.y, sprite.opacity)


def _transform(rect: Rect, degrees: float, box: Rect) -> tuple[npt.NDArray[np.float64], Rect]:
    """Returns the affine matrix (2, 3) from pixels of a sprite at `rect` to those of the area of the canvas
    that the rotated sprite covers, and that area.
    """
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    linear = np.array([[cos, -sin], [sin, cos]])
    middle = np.array([box.x + box.width / 2, box.y + box.height / 2])
    corners = np.array(
        [(x, y) for x in (rect.x, rect.x + rect.width) for y in (rect.y, rect.y + rect.height)]
    )
    reached = (corners - middle) @ linear.T + middle
    # Soft edges and whole pixels take up to 1.3 pixels beyond the corners.
    left, top = np.floor(reached.min(axis=0) - 2).astype(int).tolist()
    right, bottom = np.ceil(reached.max(axis=0) + 2).astype(int).tolist()
    # OpenCV counts from the middle of the first pixel.
    first = np.array([rect.x + 0.5, rect.y + 0.5])
    offset = np.round(linear @ (first - middle) + middle - 0.5 - (left, top))
    return np.column_stack([linear, offset]), Rect(left, top, right - left, bottom - top)
