"""Scales pictures down to what is looked at or shown; used by what measures them."""

from __future__ import annotations

import cv2
import numpy as np

from avatar.face.landmarks import Picture


def at_most(picture: Picture, side_px: int) -> Picture:
    """The picture (h, w, 3), scaled down where a side is longer than `side_px`."""
    scale = side_px / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
