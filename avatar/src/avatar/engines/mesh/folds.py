"""Takes the depth out of smile folds in a portrait that was taken smiling; used once, when the photo
engine opens.
"""

from __future__ import annotations

import cv2
import numpy as np

from avatar.engines.mesh.axes import smoothstep
from avatar.engines.mesh.lips import MouthShape
from avatar.engines.mesh.region import Region
from avatar.face.landmarks import Picture

_FOLD_E = 0.05


def soften_folds(picture: Picture, shape: MouthShape, amount: float) -> Picture:
    """A copy of a picture (h, w, 3) in which dark lines beside nose and mouth are lighter; `amount` 0..1.

    Only what is darker than its surroundings changes, and nothing near the lips: their lines stay.
    """
    result = picture.copy()
    if amount <= 0:
        return result
    unit = shape.axes.unit_px
    x, y = shape.axes.origin
    x0, x1 = max(0, int(x - 1.0 * unit)), min(picture.shape[1], int(x + 1.0 * unit))
    y0, y1 = max(0, int(y - 0.55 * unit)), min(picture.shape[0], int(y + 0.45 * unit))
    area = Region(x0, y0, max(0, x1 - x0), max(0, y1 - y0))
    if area.width < 8 or area.height < 8:
        return result
    columns, rows = np.meshgrid(
        np.arange(x0, x0 + area.width, dtype=np.float32), np.arange(y0, y0 + area.height, dtype=np.float32)
    )
    uv = shape.axes.to_local(np.stack([columns, rows], axis=-1))
    side, v = np.abs(uv[..., 0] - np.float32(shape.centre)), uv[..., 1]
    half = shape.half_width
    # A ring round the mouth: outside the corners and beside the wings of the nose.
    beside = smoothstep(half * 0.9, half * 1.25, side) * (1 - smoothstep(half + 0.30, half + 0.50, side))
    height = smoothstep(-0.42, -0.22, v) * (1 - smoothstep(0.18, 0.36, v))
    corner = 1 - np.exp(-(((side - half) / 0.07) ** 2) - (v / 0.07) ** 2)
    cover = (np.float32(amount) * beside * height * corner)[..., None]
    patch = area.of(picture).astype(np.float32)
    scale = float(np.clip(12 / (_FOLD_E * unit * 4), 0.125, 1.0))  # a wide blur needs few pixels
    small = cv2.resize(patch, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), max(0.8, _FOLD_E * unit * scale))
    smooth = cv2.resize(soft, (area.width, area.height), interpolation=cv2.INTER_LINEAR)
    lifted = patch + cover * np.maximum(0, smooth - patch)
    area.of(result)[:] = np.clip(lifted, 0, 255).astype(np.uint8)
    return result
