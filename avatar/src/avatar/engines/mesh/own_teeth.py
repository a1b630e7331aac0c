"""A person's own upper teeth, cut from a picture in which they smile or speak; for photos and footage."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from avatar.engines.base import Pixels
from avatar.engines.mesh.axes import Floats, smoothstep
from avatar.engines.mesh.interior import lip_line_v
from avatar.engines.mesh.lips import MouthShape
from avatar.engines.mesh.teeth import Plate

_MIN_COVERAGE = 0.55
_TOP_V, _BOTTOM_V = -0.14, 0.12
_LIP_INSET_E = 0.012


def own_upper_teeth(picture: Pixels, shape: MouthShape) -> Plate | None:
    """None when a picture (h, w, 3) BGR shows no clear row of teeth between the lips of `shape`.

    The plate's (0, 0) is where the lips would meet, as that of `avatar.engines.mesh.teeth.upper_teeth`.
    """
    per_e = float(np.clip(shape.axes.unit_px, 48, 420))
    reach = shape.half_width
    u, v = np.meshgrid(
        np.arange(-reach, reach, 1 / per_e, dtype=np.float32),
        np.arange(_TOP_V, _BOTTOM_V, 1 / per_e, dtype=np.float32),
    )
    line = np.float32(lip_line_v(shape))
    at = shape.axes.to_pixels(np.stack([u + np.float32(shape.centre), v + line], axis=-1))
    taken = cv2.remap(picture, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    pixels = np.asarray(taken, np.uint8)
    upper, lower = (curve(u[0] + np.float32(shape.centre)) - line for curve in (shape.upper, shape.lower))
    between = (v > upper + _LIP_INSET_E) & (v < lower - _LIP_INSET_E)
    bright = _bright(pixels, between)
    if bright is None:
        return None
    edge, width = _cutting_edge(bright, u[0], v[:, 0])
    if edge is None:
        return None
    colour = _without_lip(pixels, v, upper + _LIP_INSET_E)
    alpha = np.clip((edge - v) * per_e + 0.5, 0, 1) * (1 - smoothstep(0.85 * width, 1.05 * width, np.abs(u)))
    layers = np.dstack([colour * alpha[..., None], alpha]).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(layers, (0, 0), 0.5), np.float32)
    return Plate(soft, per_e, (reach * per_e, -_TOP_V * per_e))


def _bright(pixels: Pixels, between: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """Pixels between the lips that are bright and not red; None when nothing stands out."""
    if np.count_nonzero(between) < 60:
        return None
    lab = cv2.cvtColor(pixels, cv2.COLOR_BGR2Lab).astype(np.float32)
    score = lab[..., 0] - 1.6 * (lab[..., 1] - 128)
    values = score[between]
    scaled = np.clip((values - values.min()) / max(float(np.ptp(values)), 1e-3) * 255, 0, 255).astype(
        np.uint8
    )
    split, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    level = values.min() + split / 255 * np.ptp(values)
    if np.ptp(values) < 40 or float(lab[..., 0][between & (score > level)].mean()) < 100:
        return None
    return np.asarray(between & (score > level))


def _cutting_edge(bright: npt.NDArray[np.bool_], u: Floats, v: Floats) -> tuple[Floats | None, float]:
    """The lower edge of the row as a parabola over u, float32 (columns,), and half the width of the row."""
    covered = bright.sum(axis=0) >= 3
    columns = np.flatnonzero(covered)
    if len(columns) < 8:
        return None, 0.0
    width = float(np.percentile(np.abs(u[columns]), 93))
    middle = np.abs(u) < 0.7 * float(np.abs(u).max())
    if covered[middle].mean() < _MIN_COVERAGE or width < 0.10:
        return None, 0.0
    lowest = v[bright.shape[0] - 1 - bright[::-1].argmax(axis=0)]
    inner = columns
    for _ in range(3):  # a bright spot on the lower lip pulls single columns down
        bend = np.polyfit(u[inner], lowest[inner], 2)
        away = lowest[columns] - np.polyval(bend, u[columns])
        inner = columns[(away < 0.012) & (away > -0.03)]
        if len(inner) < 8:
            return None, 0.0
    return np.polyval(bend, u).astype(np.float32), width


def _without_lip(pixels: Pixels, v: Floats, top: Floats) -> Floats:
    """The picture with what lies above the row `top` of each column replaced by the pixel there."""
    rows, columns = pixels.shape[:2]
    first = np.clip(np.searchsorted(v[:, 0], top), 0, rows - 1)
    source = np.maximum(np.arange(rows)[:, None], first[None, :])
    return np.asarray(pixels[source, np.arange(columns)[None, :]], np.float32)
