"""The studio behind a character: a lit wall and lights out of focus. Drawn once per picture size by the engine."""

from __future__ import annotations

import numpy as np
import skia

from avatar.engines.base import Pixels
from avatar.engines.rig.artwork import Backdrop, Linear, Radial
from avatar.engines.rig.paint import clear, paint, soft


def studio(style: Backdrop, size: tuple[int, int]) -> Pixels:
    """The backdrop, (height, width, 4) BGRA, opaque; dithered, so that the soft gradients do not band."""
    width, height = size
    pixels = np.zeros((height, width, 4), dtype=np.uint8)
    canvas = skia.Surface(pixels, colorType=skia.kBGRA_8888_ColorType).getCanvas()
    wall = paint(Linear((0, 0), (width * 0.35, height), style.wall))
    wall.setDither(True)
    canvas.drawPaint(wall)
    glow = paint(Radial((width * 0.34, height * 0.34), max(width, height) * 0.62, soft(style.glow, 0.85)))
    glow.setDither(True)
    canvas.drawPaint(glow)
    for x, y, radius, tint in style.lights:
        r = radius * height
        spot = paint(
            Radial(
                (x * width, y * height),
                r,
                ((clear(tint, 0.20), 0.0), (clear(tint, 0.24), 0.80), (clear(tint, 0.10), 0.93), (clear(tint, 0.0), 1.0)),
            )
        )
        spot.setDither(True)
        canvas.drawCircle(x * width, y * height, r, spot)
    return pixels
