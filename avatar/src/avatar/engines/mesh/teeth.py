"""Draws teeth and tongue once, as small pictures with alpha that are then placed behind the lips."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from avatar.engines.base import Pixels
from avatar.engines.mesh.axes import Floats, smoothstep
from avatar.engines.mesh.lips import MouthShape, lip_line_v
from avatar.engines.mesh.region import Region

# Widths of the teeth from the middle outwards, in E for an inner lip 0.60 E wide.
_UPPER_WIDTHS = (0.092, 0.070, 0.072, 0.064, 0.060)
_LOWER_WIDTHS = (0.056, 0.060, 0.064, 0.062, 0.060)
_INCISAL_E = 0.030  # how far the upper teeth reach below the line where the lips meet
_MIN_COVERAGE = 0.55
_TOP_V, _BOTTOM_V = -0.14, 0.12
_LIP_INSET_E = 0.012


@dataclass(frozen=True, slots=True)
class Plate:
    """A picture in face axes: premultiplied BGRA float32 (h, w, 4), `per_e` pixels per E, its (0, 0) at
    `origin`.
    """

    pixels: Floats
    per_e: float
    origin: tuple[float, float]

    def paint(
        self, picture: Floats, shape: MouthShape, v: float, box: Region, offset: tuple[int, int]
    ) -> None:
        """Over `picture` (h, w, 3) float32, which shows `box`, its (0, 0) placed at (centre of the mouth,
        v).
        """
        axes = shape.axes
        at = axes.to_pixels(np.array([shape.centre, v], np.float32))
        scale = axes.unit_px / self.per_e
        right, down = axes.right * scale, axes.down * scale
        left = at[0] - offset[0] - box.x - right[0] * self.origin[0] - down[0] * self.origin[1]
        top = at[1] - offset[1] - box.y - right[1] * self.origin[0] - down[1] * self.origin[1]
        matrix = np.array([[right[0], down[0], left], [right[1], down[1], top]], np.float64)
        height, width = picture.shape[:2]
        placed = cv2.warpAffine(
            self.pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        picture *= 1 - placed[..., 3:]
        picture += placed[..., :3]


def composite_over(top: Plate, below: Plate) -> Plate:
    """One plate of the size and grid of `below`, with `top` over it and its cutting edge carried on beside
    it.
    """
    scale = below.per_e / top.per_e
    left, high = (below.origin[i] - top.origin[i] * scale for i in (0, 1))
    matrix = np.array([[scale, 0, left], [0, scale, high]], np.float64)
    size = (below.pixels.shape[1], below.pixels.shape[0])
    placed = cv2.warpAffine(top.pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    beside = below.pixels * _above_the_edge_of(np.asarray(placed[..., 3], np.float32))[..., None]
    together = np.asarray(placed + beside * (1 - placed[..., 3:]), np.float32)
    return Plate(np.ascontiguousarray(together), below.per_e, below.origin)


def _above_the_edge_of(alpha: Floats) -> Floats:
    """1 above the lower edge of what `alpha` (h, w) shows, bent on to both sides as a parabola; 0 below it.

    Drawn teeth go on where a person's own end: hanging lower than those, they would look like another row.
    """
    columns = np.flatnonzero((alpha > 0.5).any(axis=0))
    if len(columns) < 8:
        return np.ones_like(alpha)
    height = alpha.shape[0]
    lowest = height - 1 - (alpha[::-1, columns] > 0.5).argmax(axis=0)
    edge = np.polyval(np.polyfit(columns, lowest, 2), np.arange(alpha.shape[1]))
    rows = np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(np.clip(edge - rows + 1, 0, 1), np.float32)


def median_colour(plate: Plate) -> Floats:
    """BGR float32 (3,) of what is opaque in a plate."""
    opaque = plate.pixels[plate.pixels[..., 3] > 0.95]
    return np.asarray(np.median(opaque[:, :3], axis=0), np.float32)


def _grid(
    per_e: float, left: float, right: float, top: float, bottom: float
) -> tuple[Floats, Floats, tuple[float, float]]:
    u = np.arange(round((right - left) * per_e), dtype=np.float32) / np.float32(per_e) + np.float32(left)
    v = np.arange(round((bottom - top) * per_e), dtype=np.float32) / np.float32(per_e) + np.float32(top)
    grid_u, grid_v = np.meshgrid(u, v)
    return grid_u, grid_v, (-left * per_e, -top * per_e)


def _plate(colour: Floats, alpha: Floats, per_e: float, origin: tuple[float, float]) -> Plate:
    soft = cv2.GaussianBlur(np.dstack([colour * alpha[..., None], alpha]), (0, 0), max(0.5, 0.005 * per_e))
    return Plate(np.ascontiguousarray(soft, np.float32), per_e, origin)


def _row_of_teeth(u: Floats, widths: tuple[float, ...], width: float) -> tuple[Floats, Floats]:
    """For every u: position inside its tooth (-1..1) and the tooth's number from the middle (0, 1, ...)."""
    ends = np.cumsum(np.array(widths, np.float32)) * np.float32(width)
    side = np.abs(u)
    number = np.minimum(np.searchsorted(ends, side), len(widths) - 1)
    starts = np.concatenate([[0.0], ends[:-1]]).astype(np.float32)
    across = (side - starts[number]) / np.maximum(1e-4, ends[number] - starts[number])
    return (np.clip(across, 0, 1) * 2 - 1).astype(np.float32), number.astype(np.float32)


def _tooth_colour(
    teeth: Floats, across: Floats, number: Floats, along: Floats, u: Floats, width: float
) -> Floats:
    """Shading of a row of teeth: rounded, faintly parted, darker and yellower to the back. `along` 0 at the
    edge.
    """
    light = 1.0 - 0.08 * np.abs(across) ** 3 - 0.10 * np.abs(across) ** 14
    light = light * (1 - 0.05 * (number >= 2)) * (0.93 + 0.07 * smoothstep(0.0, 0.05, along))
    light = light * (1 - 0.10 * smoothstep(0.05, 0.16, along))
    light = light * (1 - 0.62 * smoothstep(0.13 * width, 0.36 * width, np.abs(u)))
    warm = np.stack([1 - 0.05 * (number >= 2), 1 - 0.015 * (number >= 2), np.ones_like(number)], axis=-1)
    # The cutting edge lets light through: a little bluer and darker.
    glass = (1 - smoothstep(0.0, 0.022, along))[..., None] * np.array([0.02, -0.02, -0.05], np.float32)
    return np.asarray(teeth * light[..., None] * warm * (1 + glass), np.float32)


def upper_teeth(teeth: Floats, per_e: float, width: float) -> Plate:
    """The upper row; (0, 0) is where the lips meet. `width` 1 fits an inner lip 0.60 E wide."""
    u, v, origin = _grid(per_e, -0.42 * width, 0.42 * width, -0.20, 0.08)
    across, number = _row_of_teeth(u, _UPPER_WIDTHS, width)
    lateral = np.where(number == 1, 0.008, 0.0) + np.where(number >= 3, 0.006, 0.0)
    edge = _INCISAL_E - 0.10 * u**2 - lateral - 0.011 * np.abs(across) ** 5
    along = edge - v
    alpha = np.clip(along * per_e + 0.5, 0, 1) * (1 - smoothstep(0.34 * width, 0.40 * width, np.abs(u)))
    return _plate(
        _tooth_colour(teeth, across, number, along, u, width), alpha.astype(np.float32), per_e, origin
    )


def lower_teeth(teeth: Floats, per_e: float, width: float) -> Plate:
    """The lower row; (0, 0) is the middle of its cutting edge."""
    u, v, origin = _grid(per_e, -0.38 * width, 0.38 * width, -0.03, 0.22)
    across, number = _row_of_teeth(u, _LOWER_WIDTHS, width)
    edge = 0.07 * u**2 + 0.007 * np.abs(across) ** 5
    along = np.asarray(v - edge, np.float32)
    alpha = np.clip(along * per_e + 0.5, 0, 1) * (1 - smoothstep(0.26 * width, 0.34 * width, np.abs(u)))
    colour = _tooth_colour(teeth, across, number, along, u, width) * np.float32(0.80)
    return _plate(colour, alpha.astype(np.float32), per_e, origin)


def tongue(colour: Floats, per_e: float, width: float) -> Plate:
    """A tongue seen from the front; (0, 0) is the top of its tip."""
    u, v, origin = _grid(per_e, -0.30 * width, 0.30 * width, -0.04, 0.30)
    reach = np.abs(u) / np.float32(0.22 * width)
    edge = 0.05 * reach**2.4
    alpha = smoothstep(0.0, 0.022, v - edge) * (1 - smoothstep(0.92, 1.12, reach))
    groove = 1 - 0.16 * np.exp(-((u / 0.018) ** 2)) * smoothstep(0.01, 0.05, v)
    light = (0.72 + 0.28 * np.exp(-(((v - edge - 0.045) / 0.05) ** 2))) * groove * (1 - 0.28 * reach**2)
    return _plate((colour * light[..., None]).astype(np.float32), alpha.astype(np.float32), per_e, origin)


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
