"""The skin of a shut upper lid, invented from the skin around an open eye; painted by the eye model."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from avatar.engines.mesh.axes import Floats
from avatar.face.landmarks import Mask, Picture

_GRAIN_LEVELS = 1.6
"""Standard deviation of the finest texture of smooth skin."""


def lid_skin(patch: Picture, upper: Floats, lower: Floats, hidden: Mask, unit_px: float) -> Picture:
    """The patch (h, w, 3) with its eye covered by skin.

    upper, lower: rows of the lid edges, float32 (w,). hidden: float32 (h, w), 1 where eye and lashes are.
    """
    height = patch.shape[0]
    rows = np.arange(height, dtype=np.float32)[:, None]
    near = (rows > upper - 0.16 * unit_px) & (rows < lower + 0.22 * unit_px)
    smooth = _spread(patch, _like_skin(patch, near & (hidden < 0.05)), unit_px)
    # The fold above is in shade, the ball of the eye catches light, the rim is in shade again.
    depth = np.clip((rows - upper) / np.maximum(2.0, lower - upper), -0.6, 1.0)
    light = 0.98 + 0.09 * np.exp(-(((depth - 0.45) / 0.38) ** 2))
    grain = _grain(patch, lower, unit_px)
    skin = smooth * light[..., None] + 0.7 * grain
    mix = hidden[..., None]
    return np.asarray(np.clip(patch * (1 - mix) + skin * mix, 0, 255), np.uint8)


def lash_colour(patch: Picture, upper: Floats, lower: Floats, unit_px: float) -> Floats:
    """BGR float32 (3,): the darkest tenth of the pixels along the upper lid."""
    rows = np.arange(patch.shape[0], dtype=np.float32)[:, None]
    strip = (np.abs(rows - upper) < 0.025 * unit_px) & (lower - upper > 1)
    pixels = patch[strip].astype(np.float32)
    if len(pixels) == 0:
        return np.array([25, 25, 30], np.float32)
    brightness = pixels.mean(axis=1)
    return np.asarray(np.median(pixels[brightness <= np.percentile(brightness, 10)], axis=0), np.float32)


def _like_skin(patch: Picture, where: npt.NDArray[np.bool_]) -> Mask:
    """1 on pixels of `where` that differ little from their median: leaves out brows, glasses and glints."""
    if not where.any():
        return np.ones(patch.shape[:2], np.float32)
    lab = np.asarray(cv2.cvtColor(cv2.GaussianBlur(patch, (0, 0), 1.2), cv2.COLOR_BGR2LAB), np.float32)
    away = np.abs(lab - np.median(lab[where], axis=0)) * np.array([0.6, 1.2, 1.2], np.float32)
    total = away.sum(axis=2)
    return np.asarray(where & (total < max(14.0, 1.6 * float(np.median(total[where])))), np.float32)


def _spread(patch: Picture, weight: Mask, unit_px: float) -> Floats:
    """Colours of the weighted pixels spread over all others by normalised convolution."""
    scale = float(np.clip(40 / unit_px, 0.1, 1.0))
    colour = cv2.resize(
        patch.astype(np.float32) * weight[..., None], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )
    count = cv2.resize(weight, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    total, amount = np.zeros_like(colour), np.zeros_like(count)
    for sigma, share in ((0.05, 1.0), (0.12, 0.1), (0.5, 0.001)):
        total = cv2.scaleAdd(
            cv2.GaussianBlur(colour, (0, 0), max(0.5, sigma * unit_px * scale)), share, total
        )
        amount = cv2.scaleAdd(
            cv2.GaussianBlur(count, (0, 0), max(0.5, sigma * unit_px * scale)), share, amount
        )
    spread = cv2.resize(
        total / (np.asarray(amount)[..., None] + 1e-6), patch.shape[1::-1], interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(cv2.GaussianBlur(spread, (0, 0), max(0.5, 0.02 * unit_px)), np.float32)


def _grain(patch: Picture, lower: Floats, unit_px: float) -> Floats:
    """Fine texture of the skin under the eye, mirrored up: the lid must not be smoother than the rest."""
    height, width = patch.shape[:2]
    fine = patch.astype(np.float32) - cv2.GaussianBlur(patch, (0, 0), max(0.8, 0.012 * unit_px)).astype(
        np.float32
    )
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    start = lower + np.float32(0.05 * unit_px)
    mirrored = np.clip(start + np.abs(lower - y), 0, height - 1).astype(np.float32)
    grain = np.clip(cv2.remap(fine, x, mirrored, cv2.INTER_LINEAR), -14, 14).astype(np.float32)
    # Wrinkles and JPEG blocks are no grain: mirrored on a lid they look like the rings of a tree.
    return np.asarray(grain * min(1.0, _GRAIN_LEVELS / max(1e-3, float(grain.std()))), np.float32)
