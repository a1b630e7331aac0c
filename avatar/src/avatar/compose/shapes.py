"""Masks that cut the avatar box to its shape; the composer multiplies them in."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from avatar.compose.colour import Pixels

ROUNDED_RADIUS = 0.12
_FINE = 4


def shape_mask(shape: Literal["rectangle", "rounded", "circle"], width: int, height: int) -> Pixels | None:
    """uint8 (height, width), 255 inside and soft at the edge; None for a rectangle, which cuts nothing.

    A circle is the largest that fits, in the middle of the box.
    """
    if shape == "rectangle":
        return None
    fine = np.zeros((height * _FINE, width * _FINE), np.uint8)
    if shape == "circle":
        centre = (width * _FINE // 2, height * _FINE // 2)
        cv2.circle(fine, centre, min(width, height) * _FINE // 2, (255,), -1)
    else:
        return round_mask(width, height, min(width, height) * ROUNDED_RADIUS)
    small = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def round_mask(width: int, height: int, radius_px: float) -> Pixels:
    """uint8 (height, width) of a rectangle with round corners, 255 inside and soft at the edge."""
    fine = np.zeros((height * _FINE, width * _FINE), np.uint8)
    radius = round(radius_px * _FINE)
    right, bottom = width * _FINE - 1, height * _FINE - 1
    cv2.rectangle(fine, (radius, 0), (right - radius, bottom), (255,), -1)
    cv2.rectangle(fine, (0, radius), (right, bottom - radius), (255,), -1)
    for corner in (
        (radius, radius),
        (right - radius, radius),
        (radius, bottom - radius),
        (right - radius, bottom - radius),
    ):
        cv2.circle(fine, corner, radius, (255,), -1)
    return np.asarray(cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
