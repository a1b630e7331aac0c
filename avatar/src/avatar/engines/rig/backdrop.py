"""The studio behind a character: a lit wall, things out of focus. Drawn once per size by the engine."""

from __future__ import annotations

import cv2
import numpy as np
import skia

from avatar.engines.base import Pixels
from avatar.engines.rig.artwork import Backdrop, Linear, Radial
from avatar.engines.rig.paint import clear, paint, soft
from avatar.engines.rig.sheet import Sheet

_LONG_SIDE = 960
"""The blurred picture holds no detail: it is painted small and enlarged."""


def studio(style: Backdrop, size: tuple[int, int]) -> Pixels:
    """The backdrop, (height, width, 4) BGRA, opaque; fine noise keeps the soft gradients from banding."""
    width, height = size
    shrink = min(1.0, _LONG_SIDE / max(size))
    small_w, small_h = max(2, round(width * shrink)), max(2, round(height * shrink))
    pixels = np.zeros((small_h, small_w, 4), dtype=np.uint8)
    canvas = skia.Surface(pixels, colorType=skia.kBGRA_8888_ColorType).getCanvas()
    canvas.drawPaint(paint(Linear((0, 0), (small_w * 0.3, small_h), style.wall)))
    unit = small_h / 100.0
    canvas.translate(small_w / 2, small_h / 2)
    canvas.scale(unit, unit)
    Sheet(style.things).draw_still(canvas)
    for x, y, radius, tint in style.lights:
        spot = Radial(
            (x, y), radius, ((clear(tint, 0.5), 0.0), (clear(tint, 0.55), 0.86), (clear(tint, 0.0), 1.0))
        )
        canvas.drawCircle(x, y, radius, paint(spot))
    half = 50.0 * small_w / small_h
    canvas.drawPaint(paint(Radial((-0.45 * half, -22.0), 62.0 + 0.35 * half, soft(style.glow, 0.55))))
    shade = ((clear("#0a0f18", 0.0), 0.0), (clear("#0a0f18", 0.0), 0.55), (clear("#0a0f18", 0.42), 1.0))
    canvas.drawPaint(paint(Radial((0.0, -4.0), float(np.hypot(half, 54.0)), shade)))
    far = cv2.GaussianBlur(pixels[:, :, :3].astype(np.float32), (0, 0), max(0.6, style.blur * unit))
    lit = np.asarray(cv2.resize(far, size, interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    noise = np.random.default_rng(7).random((height, width, 1), dtype=np.float32)
    noise -= 0.5
    lit += np.asarray(cv2.merge([noise] * 3), dtype=np.float32)
    lit += 0.5
    np.clip(lit, 0, 255, out=lit)
    return np.asarray(cv2.cvtColor(lit.astype(np.uint8), cv2.COLOR_BGR2BGRA), dtype=np.uint8)
