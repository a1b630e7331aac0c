"""Draws teeth and tongue once, as small pictures with alpha that are then placed behind the lips."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from avatar.engines.mesh.axes import Floats, smoothstep
from avatar.engines.mesh.lips import MouthShape
from avatar.engines.mesh.region import Region

# Widths of the teeth from the middle outwards, in E for an inner lip 0.60 E wide.
_UPPER_WIDTHS = (0.092, 0.070, 0.072, 0.064, 0.060)
_LOWER_WIDTHS = (0.056, 0.060, 0.064, 0.062, 0.060)
_INCISAL_E = 0.030  # how far the upper teeth reach below the line where the lips meet


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
