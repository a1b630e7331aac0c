"""Fills drawn once as pictures, which skia lays into a path many times faster than it computes them."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import skia

from avatar.engines.base import Pixels
from avatar.engines.rig import geometry
from avatar.engines.rig.artwork import Fill
from avatar.engines.rig.geometry import Points
from avatar.engines.rig.paint import colour, is_opaque, paint

Box = tuple[float, float, float, float]
MARGIN = 16.0
"""Units that a shape may move against its fill; further out the fill's edge goes on."""
DENSITY, SMALL = 1.25, 10_000.0
"""Pixels per unit at least, and pixels that a small fill has for more. Fills are smooth, and a picture that
stays in the processor's cache is laid faster than a sharp one; skia keeps 32 MiB of them.
"""
LONG_RUN = 16.0
"""Pixels in a row of a shape, on average, from which a picture is faster than a flat colour with alpha."""
_ALPHA_MASK = 0xFF000000


@dataclass(frozen=True, slots=True)
class View:
    """Says how artwork is seen: pixels per unit, and the box of units in the picture (x0, y0, x1, y1)."""

    scale: float
    box: Box


def brush(fill: Fill, contours: tuple[Points, ...], stroke: float, view: View | None) -> skia.Paint:
    """Returns the paint of a shape at rest; with a `view` for canvases of that scale that are not turned."""
    plain = paint(fill, stroke)
    if view is None or (isinstance(fill, str) and (stroke > 0 or is_opaque(fill))):
        return plain
    if isinstance(fill, str) and _mean_run(contours) * view.scale < LONG_RUN:
        return plain
    points = np.concatenate(contours)
    reach = MARGIN + stroke / 2
    (left, top), (right, bottom) = points.min(axis=0) - reach, points.max(axis=0) + reach
    x0, y0, x1, y1 = view.box
    left, top = max(left, x0 - MARGIN), max(top, y0 - MARGIN)
    right, bottom = min(right, x1 + MARGIN), min(bottom, y1 + MARGIN)
    if right <= left or bottom <= top:
        return plain
    if isinstance(fill, str):
        bottom = top  # One row: skia repeats it in all others.
    plain.setShader(_texture(fill, (left, top, right, bottom), view.scale))
    plain.setDither(False)
    plain.setAlpha(255)  # it would count twice
    return plain


def _texture(fill: Fill, box: Box, scale: float) -> skia.Shader:
    left, top, right, bottom = box
    if not isinstance(fill, str):
        scale = min(scale, max(DENSITY, (SMALL / ((right - left) * (bottom - top))) ** 0.5))
    width, height = (max(1, round(side * scale)) for side in (right - left, bottom - top))
    pixels = np.zeros((height, width, 4), np.uint8)
    if isinstance(fill, str):
        pixels[:] = np.array([colour(fill)], "<u4").view(np.uint8)
    else:
        canvas = skia.Surface(pixels, skia.kBGRA_8888_ColorType, skia.kUnpremul_AlphaType).getCanvas()
        canvas.scale(scale, scale)
        canvas.translate(-left, -top)
        canvas.drawPaint(paint(fill))
    # A shader goes into a paint in serialised form: skia takes encoded pictures as they are, and would
    # compress others as PNG, for longer than all the rest takes.
    encoded = skia.Data.MakeWithCopy(_bitmap_file(pixels, is_opaque(fill)))
    to_units = skia.Matrix()
    to_units.setAll(1 / scale, 0, left, 0, 1 / scale, top, 0, 0, 1)
    clamp = skia.TileMode.kClamp
    sampling = skia.SamplingOptions(skia.FilterMode.kNearest)
    return skia.Image.MakeFromEncoded(encoded).makeShader(clamp, clamp, sampling, to_units)


def _bitmap_file(pixels: Pixels, opaque: bool) -> bytes:
    """Returns BGRA pixels with straight alpha as a BMP file (with BITMAPV4HEADER)."""
    height, width = pixels.shape[:2]
    data = pixels.tobytes()
    masks = (0xFF0000, 0xFF00, 0xFF, 0 if opaque else _ALPHA_MASK)
    header = struct.pack(
        "<IiiHHIIiiII4I4s48x", 108, width, -height, 1, 32, 3, len(data), 0, 0, 0, 0, *masks, b"BGRs"
    )
    begin = 14 + len(header)
    return struct.pack("<2sIHHI", b"BM", begin + len(data), 0, 0, begin) + header + data


def _mean_run(contours: tuple[Points, ...]) -> float:
    """Returns how many units a row of the shape covers on average."""
    area = height = 0.0
    for control in contours:
        x, y = geometry.sample(control, 4).T if len(control) > 3 else control.T
        area += abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
        height += float(np.ptp(y))
    return area / max(height, 1e-6)
