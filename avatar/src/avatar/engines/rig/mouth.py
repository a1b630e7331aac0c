"""The mouth: lips, and behind them teeth, tongue and throat. Drawn per frame by the figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.artwork import Linear, Mouth, Radial, Skin, Stops
from avatar.engines.rig.geometry import Points
from avatar.engines.rig.paint import blend, clear, paint, soft
from avatar.engines.rig.pose import Pose
from avatar.tracks import JAW_E, LOW_E, RAISE_E

CLOSED = 0.05
"""Openings below this (units) show nothing of the inside."""
UPPER_EDGE = 4.5
"""Where the upper teeth end, below the line of the closed lips. They stay with the skull."""
LOWER_EDGE = 4.4
"""Where the lower teeth begin when the jaw is shut. They drop with the jaw: only `low` uncovers them."""
_T11 = np.linspace(-1.0, 1.0, 11)
_TOOTH_GAPS = (0.0, 5.4, -5.4, 10.2, -10.2, 14.4, -14.4)
UNITS = 100.0
"""Units per E."""
JAW, LOW, RAISE = JAW_E * UNITS, LOW_E * UNITS, RAISE_E * UNITS
"""How far each channel parts the lips at 1: the terms of `avatar.tracks.aperture_e`, in units."""
SPREAD, PUCKER, PUCKER_OUTSIDE = 0.21, 0.68, 0.46
"""How much the mouth widens at wide = +1, and how much opening and lips narrow at -1: pouted lips are thick
round a small hole.
"""
MEET = 0.30
"""Of the jaw's drop, how far below their place at rest lips meet that shut over it."""
HIDE_FROM, HIDE_FULL = 0.40, 0.78
"""Of a pout: where it begins to hide the teeth, and where it hides them."""
SKEW = 0.06
MIN_LOWER_ROW = 1.4
TIP_BETWEEN = 0.8
"""A tongue raised further than this comes out between the teeth."""
SMILE, FROWN = 5.6, 7.5
"""Units that the corners rise and fall at smile = +1 and -1."""
# Dense at the corners, where the edges are steep.
T = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 17))
MIDDLE = 8
_GLOSS, _BELOW = (10.0, 3.0), (17.0, 5.78)
"""Half axes of the light on the lower lip and of the shade under it."""
_ABS = np.abs(T)
_UPPER = np.clip(1.0 - _ABS**2.5, 0.0, 1.0) ** 0.55
_LOWER = np.clip(1.0 - _ABS**3.0, 0.0, 1.0) ** 0.45
_LOWER_WIDE_OPEN = np.clip(1.0 - _ABS**2.7, 0.0, 1.0) ** 0.50
_FULL = np.clip(1.0 - _ABS**2.6, 0.0, 1.0) ** 0.52
_BOW = np.interp(_ABS, [0.0, 0.10, 0.26, 0.45, 0.70, 0.90, 1.0], [0.84, 0.90, 1.0, 0.90, 0.58, 0.20, 0.0])
_WAVE = 0.9 * np.exp(-((T / 0.22) ** 2)) - 0.5 * np.exp(-(((_ABS - 0.42) / 0.2) ** 2))
_CORNER = _ABS**2.3
_ROUND = np.sqrt(np.clip(1.0 - T**2, 0.0, 1.0))
_OUTWARD = 1.3 * np.sign(T) * _ABS**6


class MouthPart:
    """Mouth coordinates: origin between the closed lips, on the face's surface."""

    def __init__(self, style: Mouth, skin: Skin) -> None:
        self._style = s = style
        upper_stops = (
            (blend(s.upper, s.light, 0.25), 0.0),
            (s.upper, 0.55),
            (blend(s.upper, s.line, 0.18), 1.0),
        )
        self._upper = paint(Linear((0, -9), (0, 1.5), upper_stops))
        self._lower_stops: Stops = (
            (blend(s.lower, s.line, 0.22), 0.0), (s.lower, 0.28), (blend(s.lower, s.light, 0.22), 0.62),
            (blend(s.lower, s.line, 0.12), 1.0),
        )  # fmt: skip
        self._line = paint(s.line)
        self._dimple = paint(clear(s.line, 0.42))
        self._gloss = paint(Radial((0, 0), _GLOSS[0], soft(s.light, 0.75), _GLOSS[1] / _GLOSS[0]))
        self._below = paint(Radial((0, 0), _BELOW[0], soft(s.line, 0.22), _BELOW[1] / _BELOW[0]))
        self._gap = paint(clear(blend(s.throat, s.teeth, 0.5), 0.22), stroke=0.45)
        self._roof_shade = paint(clear(s.throat, 0.10))
        self._fold = skin.shade

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        canvas.save()
        canvas.concat(pose.head)
        canvas.concat(pose.plate(0.0, self._style.y, 4.0))
        lines = lip_lines(self._style, pose)
        self._spot(canvas, 0.0, lines.chin_side + 4.5, _BELOW, self._below)
        self._draw_smile_folds(canvas, pose, lines)
        if lines.floor - lines.roof > CLOSED:
            self._draw_inside(canvas, pose, lines)
        self._draw_lips(canvas, lines, max(-pose["wide"], 0.0))
        canvas.restore()

    @staticmethod
    def _spot(canvas: skia.Canvas, x: float, y: float, axes: tuple[float, float], brush: skia.Paint) -> None:
        canvas.save()
        canvas.translate(x, y)
        canvas.drawOval(skia.Rect.MakeLTRB(-axes[0], -axes[1], *axes), brush)
        canvas.restore()

    def _draw_smile_folds(self, canvas: skia.Canvas, pose: Pose, lines: LipLines) -> None:
        strength = self._style.fold * max(pose["wide"], 0.0)
        if strength < 0.03:
            return
        brush = paint(clear(self._fold, strength))
        x = lines.half_width
        for side in (-1.0, 1.0):
            fold = np.array([[18.5, -25.0], [x + 1.5, -17.0], [x + 6.0, -8.0], [x + 6.2, 1.0]]) * [side, 1.0]
            canvas.drawPath(geometry.path(geometry.taper(fold, 2.2)), brush)

    def _draw_inside(self, canvas: skia.Canvas, pose: Pose, lines: LipLines) -> None:
        s = self._style
        canvas.save()
        canvas.clipPath(geometry.path(geometry.band(lines.inner_upper, lines.inner_lower)), doAntiAlias=True)
        centre = (0.0, (lines.roof + lines.floor) / 2)
        stops = (
            (blend(s.throat, "#000000", 0.35), 0.0),
            (s.throat, 0.65),
            (blend(s.throat, s.lower, 0.35), 1.0),
        )
        canvas.drawPaint(paint(Radial(centre, max(lines.half_width, 6.0) * 1.1, stops, 0.7)))
        hidden = _hidden_teeth(pose)
        tip_up = pose["tongue"] > 0.15
        if not tip_up:
            self._draw_tongue(canvas, pose, lines)
        if hidden < 1.0 and pose["tuck"] < 0.5:
            self._draw_lower_teeth(canvas, pose, lines, hidden)
        between_teeth = pose["tongue"] > TIP_BETWEEN
        if tip_up and not between_teeth:
            self._draw_tongue(canvas, pose, lines)
        if hidden < 1.0:
            self._draw_upper_teeth(canvas, pose, lines, hidden)
        if between_teeth:
            self._draw_tongue(canvas, pose, lines)
        roof = lines.inner_upper
        shade = geometry.band(geometry.lower(roof, -1.0), geometry.lower(roof, 2.2))
        canvas.drawPath(geometry.path(shade), self._roof_shade)
        canvas.restore()

    def _draw_upper_teeth(self, canvas: skia.Canvas, pose: Pose, lines: LipLines, hidden: float) -> None:
        s = self._style
        width = min(s.half_width * 0.92, lines.half_width)
        # A tucked lip lies along the whole row; pouted lips stand out before it.
        arc = 2.6 - 1.9 * pose["tuck"]
        end = UPPER_EDGE - hidden * (UPPER_EDGE - lines.roof)
        edge = np.stack([_T11 * width, end - arc * _T11**2], axis=1)
        top = np.stack([_T11 * width, np.full(11, -9.0)], axis=1)
        teeth = geometry.path(geometry.band(top, edge))
        canvas.drawPath(teeth, self._enamel(s.teeth, width))
        for x in _TOOTH_GAPS:
            if abs(x) < width * 0.95:
                canvas.drawLine(x, -8.0, x, end - 0.6 - arc * (x / width) ** 2, self._gap)
        shade = ((clear(s.throat, 0.40), 0.0), (clear(s.throat, 0.16), 0.4), (clear(s.throat, 0.0), 1.0))
        canvas.drawPath(teeth, paint(Linear((0, lines.roof - 0.5), (0, lines.roof + 5.0), shade)))

    def _draw_lower_teeth(self, canvas: skia.Canvas, pose: Pose, lines: LipLines, hidden: float) -> None:
        s = self._style
        width = min(s.half_width * 0.66, lines.half_width * 0.86)
        top = LOWER_EDGE + 0.92 * JAW * pose["jaw"] + 4.5 * pose["low"] + 8.0 * hidden
        # Less than a row's edge would glint along the lip like a scratch.
        seen = min(lines.floor - top, 1.8 * (lines.floor - top - MIN_LOWER_ROW))
        if seen <= 0.0:
            return
        top = lines.floor - seen
        edge = np.stack([_T11 * width, top + 1.8 * _T11**2], axis=1)
        low = np.stack([_T11 * width, np.full(11, top + 16.0)], axis=1)
        dimmed = blend(s.teeth, s.throat, 0.10 + 0.22 * min(1.0, pose["jaw"] * 1.5))
        canvas.drawPath(geometry.path(geometry.band(edge, low)), self._enamel(dimmed, width))

    def _enamel(self, tint: str, width: float) -> skia.Paint:
        """Teeth that vanish into the dark towards the corners."""
        dim = blend(tint, self._style.throat, 0.55)
        side = ((clear(dim, 0.0), 0.0), (clear(dim, 0.55), 0.07), (blend(tint, dim, 0.5), 0.17), (tint, 0.32))
        stops = side + tuple((text, 1.0 - at) for text, at in reversed(side))
        return paint(Linear((-width, 0), (width, 0), stops))

    def _draw_tongue(self, canvas: skia.Canvas, pose: Pose, lines: LipLines) -> None:
        """At rest behind the lower teeth; raised, its tip stands at the upper teeth."""
        s = self._style
        up = pose["tongue"]
        resting = LOWER_EDGE + (0.80 * JAW - 3.0) * pose["jaw"] + 2.0 * pose["low"]
        between_teeth = 3.4 if up > TIP_BETWEEN else 0.0
        top = resting * (1.0 - up) + (1.4 + between_teeth) * up
        width = lines.half_width * (0.74 - 0.24 * up)
        edge = np.stack([_T11 * width, top + (lines.floor + 5.0 - top) * np.abs(_T11) ** 3.0], axis=1)
        edge[:, 1] += 0.8 * np.exp(-((_T11 / 0.13) ** 2)) * (1.0 - up)
        low = np.stack([_T11 * width, np.full(11, lines.floor + 7.0)], axis=1)
        stops = (
            (blend(s.tongue, "#ffffff", 0.14), 0.0),
            (s.tongue, 0.4),
            (blend(s.tongue, s.throat, 0.45), 1.0),
        )
        canvas.drawPath(
            geometry.path(geometry.band(edge, low)), paint(Linear((0, top), (0, top + 10), stops))
        )
        if up > 0.15:  # its shadow parts it from the lip, which has nearly its colour
            shade = ((clear(s.throat, 0.0), 0.0), (clear(s.throat, 0.85 * min(1.0, 2.0 * up)), 1.0))
            root = Linear((0, max(top, lines.floor - 3.4)), (0, lines.floor), shade)
            canvas.drawPath(geometry.path(geometry.band(edge, low)), paint(root))

    def _draw_lips(self, canvas: skia.Canvas, lines: LipLines, pucker: float) -> None:
        canvas.save()
        canvas.translate(0.0, lines.roof)
        upper = geometry.band(lines.outer_upper, lines.inner_upper) - [0.0, lines.roof]
        canvas.drawPath(geometry.path(upper), self._upper)
        canvas.restore()
        fill = Linear((0, lines.floor), (0, lines.chin_side), self._lower_stops)
        canvas.drawPath(geometry.path(geometry.band(lines.inner_lower, lines.outer_lower)), paint(fill))
        self._spot(canvas, -2.0, lines.floor + (lines.chin_side - lines.floor) * 0.42, _GLOSS, self._gloss)
        if lines.floor - lines.roof < 1.2:
            seam = (lines.inner_upper + lines.inner_lower) / 2
            canvas.drawPath(geometry.path(geometry.taper(seam, 1.3, 0.5, 0.5)), self._line)
        for end, sign in ((0, -1.0), (-1, 1.0)):
            x, y = lines.outer_upper[end]
            dimple = np.array([[x - 2.6 * sign, y + 0.3], [x, y], [x + 1.4 * sign, y - 1.0]])
            canvas.drawPath(geometry.path(geometry.taper(dimple, 1.5 - pucker)), self._dimple)


def _hidden_teeth(pose: Pose) -> float:
    """Share 0..1 of the teeth that pouted lips hide, unless the upper lip is raised ("sh")."""
    pouted = float(geometry.smoothstep(HIDE_FROM, HIDE_FULL, -pose["wide"]))
    return pouted * (1.0 - min(1.0, 2.0 * pose["raise"]))


@dataclass(frozen=True, slots=True)
class LipLines:
    """Edges of the lips from left to right, (17, 2) each, in mouth coordinates (origin between the lips)."""

    outer_upper: Points
    inner_upper: Points
    inner_lower: Points
    outer_lower: Points

    @property
    def half_width(self) -> float:
        return float(self.inner_upper[-1, 0])

    @property
    def roof(self) -> float:
        return float(self.inner_upper[MIDDLE, 1])

    @property
    def floor(self) -> float:
        return float(self.inner_lower[MIDDLE, 1])

    @property
    def chin_side(self) -> float:
        """The lower edge of the lower lip."""
        return float(self.outer_lower[MIDDLE, 1])


def lip_lines(style: Mouth, pose: Pose) -> LipLines:
    """The four edges. The inner ones part by `aperture_e` in the middle and touch when it is zero."""
    jaw, press, tuck = pose["jaw"], pose["press"], pose["tuck"]
    up = pose["raise"] * (1.0 - press)
    pucker, spread = max(-pose["wide"], 0.0), max(pose["wide"], 0.0)
    drop = (JAW * jaw + LOW * pose["low"]) * (1.0 - press)
    opened = min(1.0, drop / 25.0)
    width = style.half_width * (1.0 + SPREAD * spread + 0.07 * max(pose["smile"], 0.0) - 0.05 * jaw)
    x, out = (
        T * (width - style.half_width * PUCKER * pucker),
        T * (width - style.half_width * PUCKER_OUTSIDE * pucker),
    )
    lifted = style.smile + (SMILE if pose["smile"] > 0 else FROWN) * pose["smile"]
    smile = lifted * (1.0 + 0.5 * spread - 0.9 * pucker) - 4.4 * jaw * (1.0 - 0.5 * press)
    side = 1.0 + SKEW * pose["skew"] * T
    rest = _WAVE * (1.0 - 0.8 * pucker) - smile * side * _CORNER + MEET * press * JAW * jaw * _ROUND
    # A pout opens upwards too, until the hole is round.
    lift = 0.34 * pucker * drop
    upper = rest - (RAISE * up * _UPPER + lift * _ROUND) * side
    bowl = _LOWER + opened * (_LOWER_WIDE_OPEN - _LOWER)
    bowl = bowl + pucker * (_ROUND - bowl)
    lower = rest + (drop - lift) * bowl * side
    squeezed = press * min(1.0, JAW * jaw / 5.0)
    plump = 1.0 + 0.16 * pucker - 0.10 * opened - 0.06 * spread - 0.14 * squeezed
    top = style.upper_height * plump * (1.0 - 0.12 * up) * (_BOW + 0.4 * pucker * (_ROUND - _BOW))
    bottom = style.lower_height * plump * (1.0 - 0.50 * tuck) * _FULL
    out = out + _OUTWARD
    return LipLines(
        np.stack([out, upper - top], axis=1),
        np.stack([x, upper], axis=1),
        np.stack([x, lower], axis=1),
        np.stack([out, lower + bottom], axis=1),
    )
