"""Arms of two bones with sleeves, and their hands; drawn over the figure when a gesture raises them."""

from __future__ import annotations

import math

import numpy as np
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.arm_motion import ArmPose
from avatar.engines.rig.artwork import Arms, Linear, Skin
from avatar.engines.rig.geometry import Points, near
from avatar.engines.rig.hand import WRIST_RADIUS, HandPart
from avatar.engines.rig.paint import blend, clear, paint
from avatar.engines.rig.pose import NECK_PIVOT, Pose, map_points
from avatar.engines.rig.torso import TorsoField

UPPER, FORE = 245.0, 215.0
"""Lengths of the bones, in units."""
_POLE = np.array([0.0, 1.0, 0.9])
"""Where an elbow goes by itself when a hand is raised before the body: down and to the front."""


_SLEEVE_DROP = np.array([0.0, 26.0, 0.0])
"""The sleeve begins below the shoulder, which the body's own outline draws."""


class ArmPair:
    """Both arms of a character. Immutable: threads may share it."""

    def __init__(self, style: Arms, skin: Skin) -> None:
        self._style = style
        self._hand = HandPart(style, skin)
        self._skin = skin
        self._deep = blend(style.shade, "#000000", 0.34)
        self._edge = blend(style.shade, self._deep, 0.75)
        self._shoulders = TorsoField(np.array([[-style.x, style.y], [style.x, style.y]]))

    def draw(self, canvas: skia.Canvas, pose: Pose) -> None:
        """Draw the arms that are raised."""
        if pose.arms == (None, None):
            return
        shoulders = self._shoulders.move(pose.torso)
        for index, (arm, mirror) in enumerate(zip(pose.arms, (-1.0, 1.0), strict=True)):
            if arm is not None:
                self._draw_arm(canvas, pose, arm, shoulders[index], mirror)

    def _draw_arm(
        self, canvas: skia.Canvas, pose: Pose, arm: ArmPose, shoulder: Points, mirror: float
    ) -> None:
        style = self._style
        moved = shoulder - np.array([mirror * style.x, style.y])
        head = map_points(pose.head, np.array([NECK_PIVOT]))[0] - NECK_PIVOT
        follow = 0.6 * moved * (1.0 - arm.held) + arm.held * head
        wrist = np.array([mirror * arm.wrist[0] + follow[0], arm.wrist[1] + follow[1], arm.wrist[2]])
        start = np.array([shoulder[0], shoulder[1], 0.0])
        elbow, wrist = bend_arm(start, wrist, mirror, arm.swivel)
        cuff = elbow + (wrist - elbow) * style.sleeve
        w = style.width
        self._draw_sleeve(canvas, start + _SLEEVE_DROP, elbow, (0.92 * w, 0.84 * w))
        self._draw_sleeve(canvas, elbow, cuff, (0.84 * w, 0.60 * w * near(cuff[2])), folds=True)
        sleeve = self._draw_cuff(canvas, elbow, wrist, cuff, 0.60 * w * near(cuff[2]))
        self._hand.draw(canvas, arm, wrist, mirror, sleeve)

    def _draw_sleeve(
        self,
        canvas: skia.Canvas,
        start: Points,
        end: Points,
        widths: tuple[float, float],
        *,
        folds: bool = False,
    ) -> None:
        """A tapered tube with light from the picture's upper left."""
        style = self._style
        ax, ay, bx, by = float(start[0]), float(start[1]), float(end[0]), float(end[1])
        length = max(math.hypot(bx - ax, by - ay), 1.0)
        nx, ny = -(by - ay) / length, (bx - ax) / length
        if nx + ny > 0:
            nx, ny = -nx, -ny
        ra, rb = widths
        r = max(ra, rb)
        stops = ((style.light, 0.0), (style.shade, 1.0))
        brush = paint(Linear((ax + nx * r, ay + ny * r), (ax - nx * r, ay - ny * r), stops))
        outline = paint(self._edge)
        # A forearm ends in the elbow; an upper arm begins where the body goes on.
        canvas.drawPath(_tube((ax, ay), ra + 1.2, (bx, by), rb + 1.2, rounded=folds), outline)
        canvas.drawPath(_tube((ax, ay), ra, (bx, by), rb, rounded=folds), brush)
        if not folds:
            return
        crease = paint(clear(self._deep, 0.30))
        for at, lean in ((0.55, 0.10), (0.72, -0.08), (0.86, 0.06)):
            x, y = ax + (bx - ax) * at, ay + (by - ay) * at
            half = ra + (rb - ra) * at
            ux, uy = (bx - ax) / length, (by - ay) / length
            line = np.array([
                [x - nx * half * 0.96, y - ny * half * 0.96],
                [x - nx * half * 0.4 + ux * half * lean * 3, y - ny * half * 0.4 + uy * half * lean * 3],
                [x + nx * half * 0.1 + ux * half * lean * 5, y + ny * half * 0.1 + uy * half * lean * 5],
            ])  # fmt: skip
            canvas.drawPath(geometry.path(geometry.taper(line, 3.2)), crease)

    def _draw_cuff(
        self, canvas: skia.Canvas, elbow: Points, wrist: Points, cuff: Points, radius: float
    ) -> Points:
        """The end of the sleeve with its opening. Returns where the wrist comes out of it."""
        along = (wrist - elbow) / max(float(np.linalg.norm(wrist - elbow)), 1e-6)
        angle = math.degrees(math.atan2(along[1], along[0]))
        open_share = max(0.16, min(0.9, abs(float(along[2]))))
        canvas.save()
        canvas.translate(float(cuff[0]), float(cuff[1]))
        canvas.rotate(angle)
        lip = radius * open_share
        canvas.drawOval(
            skia.Rect.MakeLTRB(-lip - 1.2, -radius - 1.2, lip + 1.2, radius + 1.2),
            paint(self._edge),
        )
        canvas.drawOval(skia.Rect.MakeLTRB(-lip, -radius, lip, radius), paint(self._style.cloth))
        canvas.drawOval(
            skia.Rect.MakeLTRB(-lip * 0.84, -radius * 0.90, lip * 0.84, radius * 0.90), paint(self._deep)
        )
        canvas.restore()
        flat = np.array([along[0], along[1], 0.0]) / max(math.hypot(along[0], along[1]), 1e-6)

        def begin(at: Points, radius: float) -> Points:
            # Round as its beginning is, it stays inside of the opening.
            return np.asarray(at + flat * radius * (1.0 - 0.75 * open_share))

        start = cuff
        if self._style.cuff:
            start = cuff + (wrist - cuff) * 0.45
            self._draw_shirt(canvas, begin(cuff, 0.82 * radius), start, radius * 0.82, self._style.cuff)
        return begin(start, WRIST_RADIUS * self._style.hand * near(float(wrist[2])))

    @staticmethod
    def _draw_shirt(canvas: skia.Canvas, start: Points, end: Points, radius: float, colour: str) -> None:
        a, b = (float(start[0]), float(start[1])), (float(end[0]), float(end[1]))
        canvas.drawPath(_tube(a, radius + 1.2, b, radius + 1.2), paint(blend(colour, "#000000", 0.4)))
        stops = ((colour, 0.0), (blend(colour, "#2a3040", 0.22), 1.0))
        brush = paint(Linear((a[0] - radius, a[1]), (a[0] + radius, a[1] + 8), stops))
        canvas.drawPath(_tube(a, radius, b, radius), brush)


def _tube(
    a: tuple[float, float], ra: float, b: tuple[float, float], rb: float, *, rounded: bool = True
) -> skia.Path:
    """A thick line from `a`, with a round end or a hollow there, to a flat end at `b`."""
    length = max(math.hypot(b[0] - a[0], b[1] - a[1]), 1e-6)
    nx, ny = -(b[1] - a[1]) / length, (b[0] - a[0]) / length
    path = skia.Path()
    path.moveTo(a[0] + nx * ra, a[1] + ny * ra)
    path.lineTo(b[0] + nx * rb, b[1] + ny * rb)
    path.lineTo(b[0] - nx * rb, b[1] - ny * rb)
    path.lineTo(a[0] - nx * ra, a[1] - ny * ra)
    way = skia.PathDirection.kCCW if rounded else skia.PathDirection.kCW
    path.arcTo(ra, ra, 0, skia.Path.kSmall_ArcSize, way, a[0] + nx * ra, a[1] + ny * ra)
    path.close()
    return path


def bend_arm(shoulder: Points, wrist: Points, mirror: float, swivel_deg: float) -> tuple[Points, Points]:
    """Returns elbow and wrist (3,): two bones in the plane of the pole, out of reach shortened to it."""
    axis = wrist - shoulder
    distance = float(np.linalg.norm(axis))
    reach = (UPPER + FORE) * 0.998
    if distance > reach:
        wrist = shoulder + axis * (reach / distance)
        distance = reach
    distance = max(distance, abs(UPPER - FORE) + 1.0)
    unit = axis / max(float(np.linalg.norm(axis)), 1e-6)
    pole = _POLE * [mirror, 1.0, 1.0] + [mirror * math.tan(math.radians(swivel_deg)), 0.0, 0.0]
    pole = pole - unit * float(pole @ unit)
    pole = pole / max(float(np.linalg.norm(pole)), 1e-6)
    along = (UPPER**2 - FORE**2 + distance**2) / (2.0 * distance)
    height = math.sqrt(max(UPPER**2 - along**2, 0.0))
    return shoulder + unit * along + pole * height, wrist
