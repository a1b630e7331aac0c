"""Eyes and brows: sclera, iris, lids that close, lashes. Drawn per frame by the figure."""

from __future__ import annotations

import numpy as np
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.artwork import Brows, Eyes, Linear, Radial, Skin
from avatar.engines.rig.geometry import Points
from avatar.engines.rig.paint import blend, clear, colour, paint, soft
from avatar.engines.rig.pose import Pose, surface

CENTRE_X = 32.0
HALF_WIDTH = 18.0
BROW_START = 12.0
_T = np.linspace(-1.0, 1.0, 13)


class EyePair:
    """Both eyes of a character. Eye coordinates: origin at the eye's centre, x towards the outer corner."""

    def __init__(self, style: Eyes, skin: Skin) -> None:
        self._style = style
        self._white = paint(style.sclera)
        self._shade = paint(clear(blend(skin.deep, "#5a4660", 0.5), 0.34))
        radius = style.iris_radius
        self._iris = paint(
            Radial(
                (0.0, radius * 0.30),
                radius * 1.25,
                ((style.iris_light, 0.0), (style.iris, 0.48), (style.iris_dark, 0.86), (style.iris_dark, 1.0)),
            )
        )
        self._ring = paint(clear(style.iris_dark, 0.85), stroke=radius * 0.13)
        self._pupil = paint("#17100f")
        self._glint = paint("#ffffff")
        self._glint_small = paint("#ffffffb0")
        self._lid = paint(Linear((0.0, -0.85 * style.height), (0.0, 0.45 * style.height), ((skin.base, 0.0), (blend(skin.base, style.lid, 0.7), 0.45), (style.lid, 1.0))))
        self._lash = paint(style.lash)
        self._lower_lash = paint(clear(style.lash, 0.55))
        self._crease = paint(style.crease)
        self._water = paint(clear(blend(skin.blush, "#ffffff", 0.35), 0.8))
        self._socket = paint(Radial((0.0, -8.0), 30.0, soft(skin.shade, 0.55), 0.72))
        self._caruncle = paint(blend(skin.blush, skin.light, 0.35))

    def _lids(self, blink: float, squint: float) -> tuple[Points, Points]:
        """Upper and lower lid edges, 13 points each from the inner corner (x = -18) to the outer one."""
        s = self._style
        x = _T * HALF_WIDTH
        line = -s.tilt * _T
        up = (1.0 - np.abs(_T) ** 2.3) ** 0.72 * (1.0 + 0.10 * _T)
        low = (1.0 - np.abs(_T) ** 2.2) ** 0.85 * (1.0 + 0.16 * _T)
        upper_open = line - 0.62 * s.height * up
        lower = line + 0.38 * s.height * low * (1.0 - 0.12 * blink - 0.16 * squint)
        shut = lower - 0.2
        upper = upper_open + (shut - upper_open) * blink
        return np.stack([x, upper], axis=1), np.stack([x, lower], axis=1)

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        for side in (-1.0, 1.0):
            canvas.save()
            canvas.concat(pose.plate(side * CENTRE_X, 0.0))
            canvas.scale(side, 1.0)
            self._draw_one(canvas, pose, side)
            canvas.restore()

    def _draw_one(self, canvas: skia.Canvas, pose: Pose, side: float) -> None:
        s = self._style
        blink = min(max(pose["blink"], 0.0), 1.0)
        smile = max(pose["wide"], 0.0) * 0.35
        upper, lower = self._lids(blink, smile)
        canvas.drawPath(_blob(_SOCKET), self._socket)
        if blink < 0.97:
            opening = geometry.path(_ring(upper, lower))
            canvas.drawPath(opening, self._white)
            canvas.save()
            canvas.clipPath(opening, doAntiAlias=True)
            gx = pose["gaze_x"] * side * 0.35 * s.iris_radius
            gy = pose["gaze_y"] * 0.35 * s.iris_radius
            canvas.drawCircle(-HALF_WIDTH + 1.0, s.tilt, 3.6, self._caruncle)
            self._draw_iris(canvas, gx - 0.6, gy - 0.03 * s.height, side)
            shadow = geometry.path(_ring(upper - [0.0, 2.0], upper + [0.0, 0.20 * s.height]))
            canvas.drawPath(shadow, self._shade)
            canvas.restore()
        self._draw_lids(canvas, upper, lower, blink)

    def _draw_iris(self, canvas: skia.Canvas, x: float, y: float, side: float) -> None:
        r = self._style.iris_radius
        canvas.save()
        canvas.translate(x, y)
        canvas.drawCircle(0.0, 0.0, r, self._iris)
        canvas.drawCircle(0.0, 0.0, r * 0.95, self._ring)
        canvas.drawCircle(0.0, 0.0, r * 0.44, self._pupil)
        canvas.drawCircle(-0.34 * r * side, -0.36 * r, r * 0.24, self._glint)
        canvas.drawCircle(0.36 * r * side, 0.40 * r, r * 0.12, self._glint_small)
        canvas.restore()

    def _draw_lids(self, canvas: skia.Canvas, upper: Points, lower: Points, blink: float) -> None:
        s = self._style
        open_upper, _ = self._lids(0.0, 0.0)
        crease = open_upper + np.stack([np.zeros(13), -3.4 - 1.2 * (1 - _T**2)], axis=1)
        if blink > 0.02:
            canvas.drawPath(geometry.path(_ring(crease, upper)), self._lid)
        line = crease[1:-1] + [0.0, 1.2 * blink]
        canvas.drawPath(geometry.path(geometry.tapered(line, 1.5)), self._crease)
        canvas.drawPath(geometry.path(geometry.tapered(lower[2:], 1.1)), self._lower_lash)
        canvas.drawPath(self._lash_line(upper, blink), self._lash)

    def _lash_line(self, upper: Points, blink: float) -> skia.Path:
        """A wedge along the upper lid, thicker outward, with a wing and a few lashes."""
        s = self._style
        thick = s.line * (0.30 + 0.70 * ((_T + 1.0) / 2.0) ** 0.8) * (1.0 - 0.15 * blink)
        thick[0] = 0.1
        top = upper - np.stack([np.zeros(13), thick], axis=1)
        wing = upper[-1] + np.array([4.6 * s.lashes, (-3.0 + 4.6 * blink) * s.lashes])
        ring = np.concatenate([upper, [wing], top[::-1]])
        corners = np.zeros(len(ring), dtype=bool)
        corners[[0, 12, 13, 14, len(ring) - 1]] = True
        path = geometry.path(geometry.bezier(ring, corners, closed=True))
        if s.lashes > 0.3:
            for at, out, up in ((11, 4.4, 3.4), (10, 3.4, 3.9)):
                root = top[at] + np.array([0.0, 0.6])
                tip = root + np.array([out, -up + 1.9 * up * blink]) * s.lashes
                bend = root * 0.45 + tip * 0.55 + np.array([0.5, 0.35 - 0.7 * blink])
                geometry.add(path, _spike(root, bend, tip, 0.9))
        return path


class BrowPair:
    """Both brows, thick inside and thin outside; the inner ends fade into the skin."""

    def __init__(self, style: Brows) -> None:
        self._style = style
        stops = ((clear(style.colour, 0.45), 0.0), (clear(style.colour, 0.86), 0.2), (clear(style.colour, 0.95), 1.0))
        start = BROW_START
        self._paints = {
            side: paint(Linear((side * start, 0.0), (side * (start + style.length), 0.0), stops)) for side in (-1.0, 1.0)
        }

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        s = self._style
        raised = pose["brow"]
        t = np.linspace(0.0, 1.0, 9)
        x = BROW_START + s.length * t
        bow = s.arch * np.sin(np.pi * t**1.25)
        lift = (5.0 if raised > 0 else 3.2) * raised * (0.75 + 0.5 * np.sin(np.pi * t))
        y = s.y - bow - lift + 2.6 * t**4
        thick = s.thickness * (0.66 + 0.34 * np.sin(np.pi * np.clip(0.1 + 0.75 * t, 0, 1))) * (1.0 - 0.95 * t**2.4)
        thick[0] *= 0.55
        ring = np.concatenate([np.stack([x, y - thick / 2], axis=1), np.stack([x, y + thick / 2], axis=1)[::-1]])
        corners = np.zeros(len(ring), dtype=bool)
        corners[[8, 9]] = True
        control = geometry.bezier(ring, corners, closed=True)
        for side in (-1.0, 1.0):
            placed = control * np.array([side, 1.0])
            turned = pose.turn(placed, surface(placed) + 3.0)
            canvas.drawPath(geometry.path(turned), self._paints[side])


def _spike(root: Points, bend: Points, tip: Points, width: float) -> Points:
    """A lash: as thick as `width` at its root, nothing at its tip."""
    across = tip - root
    normal = np.array([-across[1], across[0]]) / max(float(np.hypot(*across)), 1e-6) * width / 2
    ring = np.stack([root + normal, bend + normal * 0.6, tip, bend - normal * 0.6, root - normal])
    return geometry.bezier(ring, np.array([True, False, True, False, True]), closed=True)


_SOCKET = 30.0


def _blob(radius: float) -> skia.Path:
    path = skia.Path()
    path.addOval(skia.Rect.MakeLTRB(-radius, -8 - radius * 0.72, radius, -8 + radius * 0.72))
    return path


def _ring(upper: Points, lower: Points) -> Points:
    """The closed outline between two lid edges with the same ends."""
    ring = np.concatenate([upper, lower[::-1]])
    corners = np.zeros(len(ring), dtype=bool)
    corners[[0, len(upper) - 1, len(upper), len(ring) - 1]] = True
    return geometry.bezier(ring, corners, closed=True)
