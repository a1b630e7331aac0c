"""Cuts the person out of a stage for layouts with another background: straight alpha without a halo of
the old one.
"""

from __future__ import annotations

import cv2
import numpy as np

from avatar.engines.mesh.stage import Stage
from avatar.face.landmarks import Picture

_RIM_PX = 4


def cut_out(stage: Stage) -> Picture:
    """BGRA uint8 (h, w, 4); colours at the outline are the person's, not mixed with the background."""
    alpha = stage.mask
    height = alpha.shape[0]
    sure = np.asarray(alpha > 0.92, np.float32)
    scale = 0.25
    small = cv2.resize(stage.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(
        np.float32
    )
    count = cv2.resize(sure, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    sigma = max(1.0, height / 130 * scale)
    spread = cv2.GaussianBlur(small * count[..., None], (0, 0), sigma)
    weight = cv2.GaussianBlur(count, (0, 0), sigma)
    near = cv2.resize(spread / (weight[..., None] + 1e-3), alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
    # A soft mask is too wide by a little: what is half background reads as a light rim.
    opaque = np.clip((alpha - 0.20) / 0.72, 0, 1) * 255
    # Where nothing is to be seen no colour is needed, but for a rim that a warp may reach into.
    x, y, width, height = cv2.boundingRect((opaque > 0).astype(np.uint8))
    rows, columns = (
        slice(max(0, y - _RIM_PX), y + height + _RIM_PX),
        slice(max(0, x - _RIM_PX), x + width + _RIM_PX),
    )
    keep = np.clip((alpha[rows, columns] - 0.55) / 0.4, 0, 1)[..., None]
    colour = stage.pixels[rows, columns] * keep + np.asarray(near)[rows, columns] * (1 - keep)
    cut = np.zeros((*alpha.shape, 4), np.uint8)
    cut[rows, columns, :3] = np.clip(colour, 0, 255)
    cut[rows, columns, 3] = opaque[rows, columns]
    return cut
