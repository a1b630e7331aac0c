"""Eyes: sclera, iris, lids that close, lashes. Drawn per frame by the figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.artwork import Eyes, Linear, Radial, Skin
from avatar.engines.rig.geometry import Points
from avatar.engines.rig.paint import blend, clear, paint, soft
from avatar.engines.rig.pose import Pose, map_points
from avatar.engines.rig.textures import View, brush

CENTRE_X = 32.0
HALF_WIDTH = 18.0
GAZE_TRAVEL = 0.35
"""How far the iris moves at gaze ±1, in iris radii."""
_T = np.linspace(-1.0, 1.0, 13)
_ZERO = np.zeros(13)
_SOCKET = (30.0, 21.6)
"""Half axes of the shade around an eye, whose middle lies above that of the eye."""


@dataclass(frozen=True, slots=True)
class _Lids:
    """One frame's paths, the same for both eyes."""

    opening: skia.Path
    shadow: skia.Path
    skin: skia.Path | None
    crease: skia.Path
    lower_line: skia.Path
    lashes: skia.Path


class EyePair:
    """Both eyes of a character. Eye coordinates: origin at the eye's centre, x towards the outer corner."""

    def __init__(self, style: Eyes, skin: Skin, view: View | None = None) -> None:
        self._style = style
        tilt = -style.tilt * _T
        self._upper_open = tilt - 0.62 * style.height * (1.0 - np.abs(_T) ** 2.3) ** 0.72 * (1.0 + 0.10 * _T)
        self._lower_arc = 0.38 * style.height * (1.0 - np.abs(_T) ** 2.2) ** 0.85 * (1.0 + 0.16 * _T)
        self._tilt = tilt
        self._crease_line = np.stack([_T * HALF_WIDTH, self._upper_open - 3.4 - 1.2 * (1.0 - _T**2)], axis=1)
        self._lash_width = style.line * (0.30 + 0.70 * ((_T + 1.0) / 2.0) ** 0.8)
        self._lash_width[0] = 0.1
        self._make_paints(style, skin, view)

    def _make_paints(self, style: Eyes, skin: Skin, view: View | None) -> None:
        radius, height = style.iris_radius, style.height
        iris_stops = (
            (style.iris_light, 0.0),
            (style.iris, 0.48),
            (style.iris_dark, 0.86),
            (style.iris_dark, 1.0),
        )
        lid_stops = ((skin.base, 0.0), (blend(skin.base, style.lid, 0.7), 0.45), (style.lid, 1.0))
        self._white = paint(style.sclera)
        self._shade = paint(clear(blend(skin.deep, "#5a4660", 0.5), 0.34))
        self._iris = paint(Radial((0.0, radius * 0.30), radius * 1.25, iris_stops))
        self._ring = paint(clear(style.iris_dark, 0.85), stroke=radius * 0.13)
        self._pupil = paint("#17100f")
        self._glint = paint("#ffffff")
        self._glint_small = paint("#ffffffb0")
        self._lid = paint(Linear((0.0, -0.85 * height), (0.0, 0.45 * height), lid_stops))
        self._lash = paint(style.lash)
        self._lower_lash = paint(clear(style.lash, 0.55))
        self._crease = paint(style.crease)
        spot = Radial((0.0, 0.0), _SOCKET[0], soft(skin.shade, 0.55), _SOCKET[1] / _SOCKET[0])
        self._socket = brush(spot, (np.array([[-_SOCKET[0], -_SOCKET[1]], _SOCKET]),), 0.0, view)
        self._caruncle = paint(blend(skin.blush, skin.light, 0.35))

    def edges(self, blink: float, squint: float = 0.0, lid: float = 0.0) -> tuple[Points, Points]:
        """Upper and lower lid edges, (13, 2) each from the inner corner to the outer one."""
        x = _T * HALF_WIDTH
        lower = self._tilt + self._lower_arc * (1.0 - 0.12 * blink - 0.16 * squint)
        rest = self._tilt + (self._upper_open - self._tilt) * (1.0 + (0.22 if lid > 0 else 0.38) * lid)
        upper = rest + (lower - 0.2 - rest) * blink
        return np.stack([x, upper], axis=1), np.stack([x, lower], axis=1)

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        blink = min(max(pose["blink"], 0.0), 1.0)
        smiling = max(pose["smile"], 0.0)
        squint = 0.35 * max(pose["wide"], 0.0) + 0.75 * smiling
        upper, lower = self.edges(blink, squint, pose["lid"])
        lids = self._shapes(upper, lower, blink, pose["lid"])
        for side in (-1.0, 1.0):
            place = skia.Matrix.Concat(pose.head, pose.plate(side * CENTRE_X, 0.0))
            wide = 1.0 + 0.035 * blink
            x, y = map_points(place, np.array([[0.0, 0.9 * blink - 8.0]]))[0].tolist()
            canvas.save()
            # A texture is not turned.
            canvas.translate(x, y)
            canvas.scale(wide, 1.0)
            canvas.drawOval(skia.Rect.MakeLTRB(-_SOCKET[0], -_SOCKET[1], *_SOCKET), self._socket)
            canvas.restore()
            canvas.save()
            canvas.concat(place)
            # A blink squashes the eye: wider and a little lower.
            canvas.translate(0.0, 0.9 * blink)
            canvas.scale(side * wide, 1.0)
            if blink < 0.97:
                self._draw_ball(canvas, pose, lids, side)
            if lids.skin is not None:
                canvas.drawPath(lids.skin, self._lid)
            canvas.drawPath(lids.crease, self._crease)
            canvas.drawPath(lids.lower_line, self._lower_lash)
            canvas.drawPath(lids.lashes, self._lash)
            canvas.restore()

    def _shapes(self, upper: Points, lower: Points, blink: float, lid: float) -> _Lids:
        crease = self._crease_line
        return _Lids(
            opening=geometry.path(geometry.band(upper, lower)),
            shadow=geometry.path(
                geometry.band(geometry.lower(upper, -2.0), geometry.lower(upper, 0.20 * self._style.height))
            ),
            skin=geometry.path(geometry.band(crease, upper)) if blink > 0.02 or lid < -0.02 else None,
            crease=geometry.path(geometry.taper(geometry.lower(crease[1:-1], 1.2 * blink), 1.5)),
            lower_line=geometry.path(geometry.taper(lower[2:], 1.1)),
            lashes=self._lash_line(upper, blink),
        )

    def _draw_ball(self, canvas: skia.Canvas, pose: Pose, lids: _Lids, side: float) -> None:
        s = self._style
        r = s.iris_radius
        canvas.drawPath(lids.opening, self._white)
        canvas.save()
        canvas.clipPath(lids.opening, doAntiAlias=True)
        canvas.drawCircle(1.0 - HALF_WIDTH, s.tilt, 3.6, self._caruncle)
        canvas.save()
        travel = GAZE_TRAVEL * r
        canvas.translate(pose["gaze_x"] * side * travel - 0.6, pose["gaze_y"] * travel - 0.03 * s.height)
        canvas.drawCircle(0.0, 0.0, r, self._iris)
        canvas.drawCircle(0.0, 0.0, r * 0.95, self._ring)
        canvas.drawCircle(0.0, 0.0, r * 0.44, self._pupil)
        # The lights in the eyes stay on the lamp's side, they are not mirrored with the eye.
        canvas.drawCircle(-0.34 * r * side, -0.36 * r, r * 0.24, self._glint)
        canvas.drawCircle(0.36 * r * side, 0.40 * r, r * 0.12, self._glint_small)
        canvas.restore()
        canvas.drawPath(lids.shadow, self._shade)
        canvas.restore()

    def _lash_line(self, upper: Points, blink: float) -> skia.Path:
        """A wedge along the upper lid, thicker outward, with a wing and a few lashes."""
        full = self._style.lashes
        top = upper - np.stack([_ZERO, self._lash_width * (1.0 - 0.15 * blink)], axis=1)
        wing = upper[-1] + np.array([4.6 * full, (-3.0 + 4.6 * blink) * full])
        ring = np.concatenate([upper, [wing], top[::-1]])
        path = geometry.path(geometry.loop(ring, (0, 12, 13, 14, len(ring) - 1)))
        if full > 0.3:
            for at, out, up in ((11, 4.4, 3.4), (10, 3.4, 3.9)):
                root = top[at] + np.array([0.0, 0.6])
                tip = root + np.array([out, -up + 1.9 * up * blink]) * full
                bend = root * 0.45 + tip * 0.55 + np.array([0.5, 0.35 - 0.7 * blink])
                path.addPath(geometry.path(_spike(root, bend, tip, 0.9)))
        return path


def _spike(root: Points, bend: Points, tip: Points, width: float) -> Points:
    """A lash: as thick as `width` at its root, nothing at its tip."""
    across = tip - root
    normal = np.array([-across[1], across[0]]) / max(float(np.hypot(*across)), 1e-6) * width / 2
    ring = np.stack([root + normal, bend + normal * 0.6, tip, bend - normal * 0.6, root - normal])
    return geometry.loop(ring, (0, 2, 4))
