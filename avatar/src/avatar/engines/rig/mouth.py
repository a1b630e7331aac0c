"""The mouth: lips that open by exactly `aperture_e`, teeth, tongue and throat behind them. Drawn per frame by the figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.artwork import Linear, Mouth, Radial
from avatar.engines.rig.geometry import Points
from avatar.engines.rig.paint import blend, clear, paint, soft
from avatar.engines.rig.pose import Pose

UNITS = 100.0
"""Units per E."""
SPREAD, PUCKER = 0.13, 0.36
"""How much the mouth widens at wide = +1 and narrows at -1."""
_T = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 17))
_LOWER_EDGE = 4.4
"""Where the lower teeth end when the jaw is shut, just inside the upper ones."""
_UPPER = np.clip(1.0 - np.abs(_T) ** 2.5, 0.0, 1.0) ** 0.55
_LOWER = np.clip(1.0 - np.abs(_T) ** 3.0, 0.0, 1.0) ** 0.45


@dataclass(frozen=True, slots=True)
class LipLines:
    """Edges of the lips from left to right, 17 points each, in mouth coordinates (origin between the lips)."""

    outer_upper: Points
    inner_upper: Points
    inner_lower: Points
    outer_lower: Points


def lip_lines(style: Mouth, pose: Pose) -> LipLines:
    """The four edges. The inner ones part by `aperture_e` in the middle and meet when it is zero."""
    jaw, low, up = pose["jaw"], pose["low"], pose["raise"]
    wide, tuck = pose["wide"], pose["tuck"]
    pucker, spread = max(-wide, 0.0), max(wide, 0.0)
    half = style.half_width * (1.0 + SPREAD * spread - PUCKER * pucker)
    x = _T * half
    corner = np.abs(_T) ** 3
    smile = style.smile * (1.0 + 0.5 * spread - 0.9 * pucker) - 2.2 * jaw
    rest = -smile * corner + 0.9 * np.exp(-((_T / 0.22) ** 2)) - 0.5 * np.exp(-(((np.abs(_T) - 0.42) / 0.2) ** 2))
    upper = rest - UNITS * 0.055 * up * _UPPER
    lower = rest + UNITS * (0.20 * jaw + 0.14 * low) * _LOWER
    opened = min(1.0, (0.20 * jaw + 0.14 * low) * 4.0)
    plump = 1.0 + 0.28 * pucker - 0.10 * opened - 0.06 * spread
    bow = np.interp(
        np.abs(_T), [0.0, 0.10, 0.26, 0.45, 0.70, 0.90, 1.0], [0.84, 0.90, 1.0, 0.90, 0.58, 0.20, 0.0]
    )
    top = style.upper_height * plump * (1.0 - 0.12 * up) * bow
    full = np.clip(1.0 - np.abs(_T) ** 2.6, 0.0, 1.0) ** 0.52
    bottom = style.lower_height * plump * (1.0 - 0.50 * tuck) * full
    out = x + np.sign(_T) * 1.3 * np.abs(_T) ** 6
    return LipLines(
        np.stack([out, upper - top], axis=1),
        np.stack([x, upper], axis=1),
        np.stack([x, lower], axis=1),
        np.stack([out, lower + bottom], axis=1),
    )


class MouthPart:
    def __init__(self, style: Mouth) -> None:
        self._style = style
        s = style
        self._upper = paint(Linear((0, -9), (0, 1.5), ((blend(s.upper, s.light, 0.25), 0), (s.upper, 0.55), (blend(s.upper, s.line, 0.35), 1))))
        self._line = paint(s.line)
        self._dimple = paint(clear(s.line, 0.42))
        self._gloss = paint(Radial((0, 0), 10.0, soft(s.light, 0.75), 0.30))
        self._below = paint(Radial((0, 0), 17.0, soft(s.line, 0.22), 0.34))
        self._tongue_tip = paint(blend(s.tongue, "#ffffff", 0.12))

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        canvas.save()
        canvas.concat(pose.plate(0.0, self._style.y, 4.0))
        lines = lip_lines(self._style, pose)
        lower_edge = float(lines.outer_lower[8, 1])
        canvas.save()
        canvas.translate(0.0, lower_edge + 4.5)
        canvas.drawCircle(0.0, 0.0, 17.0, self._below)
        canvas.restore()
        opening = float(lines.inner_lower[8, 1] - lines.inner_upper[8, 1])
        if opening > 0.05:
            self._draw_inside(canvas, pose, lines, opening)
        self._draw_lips(canvas, lines, opening)
        canvas.restore()

    def _draw_inside(self, canvas: skia.Canvas, pose: Pose, lines: LipLines, opening: float) -> None:
        s = self._style
        hole = geometry.path(_band(lines.inner_upper, lines.inner_lower))
        half = float(lines.inner_upper[-1, 0])
        roof, floor = float(lines.inner_upper[8, 1]), float(lines.inner_lower[8, 1])
        canvas.save()
        canvas.clipPath(hole, doAntiAlias=True)
        canvas.drawPaint(paint(Radial((0.0, (roof + floor) / 2), max(half, 6.0) * 1.1, ((blend(s.throat, "#000000", 0.35), 0.0), (s.throat, 0.65), (blend(s.throat, s.lower, 0.35), 1.0)), 0.7)))
        self._draw_tongue(canvas, pose, half, floor, behind=True)
        self._draw_lower_teeth(canvas, pose, half)
        self._draw_tongue(canvas, pose, half, floor, behind=False)
        self._draw_upper_teeth(canvas, half, roof)
        shade = geometry.path(_band(lines.inner_upper - [0, 1.0], lines.inner_upper + [0, 2.2]))
        canvas.drawPath(shade, paint(clear(s.throat, 0.35)))
        canvas.restore()

    def _draw_upper_teeth(self, canvas: skia.Canvas, half: float, roof: float) -> None:
        """Fixed to the skull: the lips uncover them."""
        s = self._style
        width = min(s.half_width * 0.92, half * 1.0)
        t = np.linspace(-1, 1, 13)
        edge = 4.2 - 2.6 * t**2
        low = np.stack([t * width, edge], axis=1)
        top = np.stack([t * width, np.full(13, -9.0)], axis=1)
        canvas.drawPath(geometry.path(_band(top, low)), self._enamel(s.teeth, width))
        gap = paint(clear(blend(s.throat, s.teeth, 0.5), 0.22), stroke=0.45)
        for x in (0.0, 5.4, -5.4, 10.2, -10.2, 14.4, -14.4):
            if abs(x) < width * 0.95:
                canvas.drawLine(x, -8.0, x, 3.6 - 2.6 * (x / width) ** 2, gap)
        shadow = Linear((0, roof - 0.5), (0, roof + 5.0), ((clear(s.throat, 0.55), 0), (clear(s.throat, 0.22), 0.4), (clear(s.throat, 0.0), 1)))
        canvas.drawPath(geometry.path(_band(top, low)), paint(shadow))

    def _draw_lower_teeth(self, canvas: skia.Canvas, pose: Pose, half: float) -> None:
        """Fixed to the jaw: the lower lip uncovers them only when it drops further than the jaw does."""
        s = self._style
        width = min(s.half_width * 0.66, half * 0.86)
        top = _LOWER_EDGE + UNITS * (0.184 * pose["jaw"] + 0.045 * pose["low"])
        t = np.linspace(-1, 1, 9)
        edge = np.stack([t * width, top + 1.8 * t**2], axis=1)
        low = np.stack([t * width, np.full(9, top + 16.0)], axis=1)
        shade = 0.10 + 0.22 * min(1.0, pose["jaw"] * 1.5)
        canvas.drawPath(geometry.path(_band(edge, low)), self._enamel(blend(s.teeth, s.throat, shade), width))

    def _enamel(self, tint: str, width: float) -> skia.Paint:
        """Teeth that vanish into the dark towards the corners."""
        dim = blend(tint, self._style.throat, 0.55)
        stops = (
            (clear(dim, 0.0), 0.0), (clear(dim, 0.55), 0.07), (blend(tint, dim, 0.5), 0.17), (tint, 0.32),
            (tint, 0.68), (blend(tint, dim, 0.5), 0.83), (clear(dim, 0.55), 0.93), (clear(dim, 0.0), 1.0),
        )  # fmt: skip
        return paint(Linear((-width, 0), (width, 0), stops))

    def _draw_tongue(self, canvas: skia.Canvas, pose: Pose, half: float, floor: float, behind: bool) -> None:
        """At rest behind the lower teeth; raised, its tip stands at the upper teeth and covers the lower ones."""
        s = self._style
        up = pose["tongue"]
        if behind == (up > 0.15):
            return
        jaw = UNITS * 0.20 * pose["jaw"]
        low_top = _LOWER_EDGE + jaw * 0.80 - 3.0 * pose["jaw"]
        top = low_top * (1.0 - up) + (2.4 + 2.2 * max(up - 0.7, 0.0) / 0.3) * up
        width = half * (0.74 - 0.20 * up)
        t = np.linspace(-1, 1, 11)
        edge = np.stack([t * width, top + (floor + 5 - top) * np.abs(t) ** 3.0], axis=1)
        edge[:, 1] += 0.8 * np.exp(-((t / 0.13) ** 2)) * (1.0 - up)
        low = np.stack([t * width, np.full(11, floor + 7.0)], axis=1)
        fill = Linear((0, top), (0, top + 10), ((blend(s.tongue, "#ffffff", 0.14), 0), (s.tongue, 0.4), (blend(s.tongue, s.throat, 0.45), 1)))
        canvas.drawPath(geometry.path(_band(edge, low)), paint(fill))

    def _draw_lips(self, canvas: skia.Canvas, lines: LipLines, opening: float) -> None:
        s = self._style
        y0 = float(lines.inner_upper[8, 1])
        canvas.save()
        canvas.translate(0, y0)
        upper = _band(lines.outer_upper, lines.inner_upper) - [0, y0]
        canvas.drawPath(geometry.path(upper), self._upper)
        canvas.restore()
        y1 = float(lines.inner_lower[8, 1])
        y2 = float(lines.outer_lower[8, 1])
        fill = Linear((0, y1), (0, y2), ((blend(s.lower, s.line, 0.22), 0), (s.lower, 0.28), (blend(s.lower, s.light, 0.22), 0.62), (blend(s.lower, s.line, 0.12), 1)))
        canvas.drawPath(geometry.path(_band(lines.inner_lower, lines.outer_lower)), paint(fill))
        canvas.save()
        canvas.translate(-2.0, y1 + (y2 - y1) * 0.42)
        canvas.drawCircle(0.0, 0.0, 10.0, self._gloss)
        canvas.restore()
        if opening < 1.2:
            line = (lines.inner_upper + lines.inner_lower) / 2
            canvas.drawPath(geometry.path(geometry.tapered(line, 1.3, 0.5, 0.5)), self._line)
        for end, sign in ((0, -1.0), (-1, 1.0)):
            x, y = lines.outer_upper[end]
            dimple = np.array([[x - 2.6 * sign, y + 0.3], [x, y], [x + 1.4 * sign, y - 1.0]])
            canvas.drawPath(geometry.path(geometry.tapered(dimple, 1.5)), self._dimple)


def _band(upper: Points, lower: Points) -> Points:
    """The closed outline between two edges that run the same way."""
    ring = np.concatenate([upper, lower[::-1]])
    corners = np.zeros(len(ring), dtype=bool)
    corners[[0, len(upper) - 1, len(upper), len(ring) - 1]] = True
    return geometry.bezier(ring, corners, closed=True)
