"""Scales pictures into rectangles; backgrounds and overlays call it."""

from __future__ import annotations

import cv2
import numpy as np

from avatar.compose.colour import Pixels

BLUR_OF_HEIGHT = 0.04
"""Blur 1.0 has a standard deviation of this share of the picture's height."""


def cover(picture: Pixels, width: int, height: int) -> Pixels:
    """`picture` scaled so that it fills width x height, what stands out cut off evenly."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    scaled = _scaled(
        picture, max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale))
    )
    x, y = (scaled.shape[1] - width) // 2, (scaled.shape[0] - height) // 2
    return np.ascontiguousarray(scaled[y : y + height, x : x + width])


def contain_size(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """The largest (width, height) of the shape of `size` that fits into width x height."""
    scale = min(width / size[0], height / size[1])
    return max(2, round(size[0] * scale)), max(2, round(size[1] * scale))


def contain(picture: Pixels, width: int, height: int) -> Pixels:
    """`picture` scaled so that all of it is seen within width x height; the result may be smaller than
    that.
    """
    return _scaled(picture, *contain_size((picture.shape[1], picture.shape[0]), width, height))


def blur(picture: Pixels, amount: float) -> Pixels:
    """`picture` blurred by `amount` 0..1; done at a quarter of the size, which cannot be seen."""
    if amount <= 0:
        return picture
    height, width = picture.shape[:2]
    step = 4 if amount * height > 100 else 1
    small = cv2.resize(picture, (max(1, width // step), max(1, height // step)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(0.3, amount * BLUR_OF_HEIGHT * small.shape[0]))
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _scaled(picture: Pixels, width: int, height: int) -> Pixels:
    shrinking = width < picture.shape[1]
    how = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    if picture.shape[2] == 3:
        return np.asarray(cv2.resize(picture, (width, height), interpolation=how), dtype=np.uint8)
    # Colour under full transparency must not bleed into the edges: scale with premultiplied alpha.
    joined = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGBA2mRGBA), (width, height), interpolation=how)
    return np.asarray(cv2.cvtColor(joined, cv2.COLOR_mRGBA2RGBA), dtype=np.uint8)
