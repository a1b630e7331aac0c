"""A hand of joints in three dimensions, drawn flat: palm, fingers, thumb, nails. Used by `arms`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import skia

from avatar.engines.rig import geometry
from avatar.engines.rig.arm_motion import ArmPose
from avatar.engines.rig.artwork import Arms, Linear, Skin
from avatar.engines.rig.geometry import Points, near
from avatar.engines.rig.paint import blend, clear, paint

# The presenter's left hand with the palm to the viewer: fingers along +y, thumb at -x, palm normal +z.
_KNUCKLES = np.array([[-22.0, 70.0, 0.0], [-7.4, 75.0, 1.5], [7.6, 72.0, 1.0], [21.5, 63.0, -1.0]])
_LENGTHS = (63.0, 70.0, 65.0, 50.0)
_RADII = ((9.2, 8.3, 7.2, 6.2), (9.5, 8.6, 7.4, 6.4), (9.2, 8.2, 7.0, 6.0), (8.2, 7.2, 6.2, 5.3))
_PHALANGES = (0.46, 0.30, 0.24)
_FAN = (-2.0, 0.0, 2.0, 5.0)
_SPREAD = (-12.0, -3.0, 6.0, 16.0)
_BENDS = (80.0, 102.0, 62.0)
"""Degrees of each joint in the fist."""
_THUMB_BASE = np.array([-15.0, 17.0, 3.0])
_THUMB = (33.0, 28.0, 23.0)
_THUMB_RADII = (13.5, 10.2, 8.8, 7.2)
_PALM = np.array(
    [[-11, 0, 0], [11, 0, 0], [21, 16, 0], [24, 40, 0], [22, 62, 0], [8, 70, 0], [-8, 72, 0], [-22, 67, 0],
     [-22, 40, 0], [-19, 16, 0]], dtype=np.float64,
)  # fmt: skip
_PALM_ROUND = 7.0
WRIST_RADIUS = 17.0
_HEEL = np.array([[0.0, 8.0, 0.0]])
"""Where the wrist ends in the palm."""
_THICKNESS = np.array([0.0, 0.0, 6.5])
_CONTOUR = 1.25
_FRONT = 9.0
"""A finger whose middle lies that much before or behind the palm is drawn over or under it."""


_Place = Callable[[Points], Points]


@dataclass(frozen=True, slots=True)
class _Finger:
    joints: Points
    """(4, 3): x, y in the picture, z towards the viewer."""
    radii: tuple[float, ...]


class HandPart:
    """Draws hands of one skin. Immutable: threads may share it."""

    def __init__(self, style: Arms, skin: Skin) -> None:
        self._style = style
        # Palms are lighter than the backs of hands, the more the darker the skin.
        palm = blend(skin.base, skin.light, 0.42)
        self._tones = {
            True: (blend(skin.light, "#ffd9c4", 0.12), blend(palm, skin.blush, 0.08), skin.shade),
            False: (skin.light, skin.base, skin.shade),
        }
        self._line = paint(blend(skin.shade, skin.deep, 0.75))
        self._crease = paint(clear(skin.deep, 0.55))
        self._shine = clear(blend(skin.light, skin.base, 0.25), 0.75)
        self._nail = paint(style.nails or blend(skin.light, skin.blush, 0.22))

    def draw(self, canvas: skia.Canvas, pose: ArmPose, wrist: Points, mirror: float, sleeve: Points) -> None:
        """Draw at `wrist` (3,) of the picture, which comes out of the sleeve at `sleeve` (3,); `mirror` is -1
        for the picture's left hand.
        """
        scale = self._style.hand * near(float(wrist[2]))
        turn = _orientation(pose)

        def place(points: Points) -> Points:
            turned = (points * scale) @ turn.T
            turned[:, 1] *= -1.0
            turned[:, 0] *= mirror
            return turned + wrist

        fingers = [
            _Finger(place(joints), tuple(scale * r for r in radii))
            for joints, radii in (_thumb(pose), *_fingers(pose, self._style))
        ]
        middle = place(np.array([[0.0, 38.0, 0.0]]))[0]
        rim = np.concatenate([_PALM + _THICKNESS, _PALM - _THICKNESS])
        palm = _hull(place(rim)[:, :2])
        joint = np.stack([sleeve, wrist, place(_HEEL)[0]])[:, :2]
        shows_palm = math.cos(math.radians(pose.roll)) > 0
        brush = self._brush(middle, scale, pose)
        depths = [finger.joints[1:3, 2].mean() - middle[2] for finger in fingers]
        order = sorted(range(len(fingers)), key=lambda k: depths[k])
        reach = _FRONT * scale
        for k in order:
            if depths[k] < -reach:
                self._draw_finger(canvas, fingers[k], brush, nail=not shows_palm)
        # Wrist, and fingers in the plane of the palm, grow out of it without a line.
        canvas.drawPath(_chain(joint, [WRIST_RADIUS * scale + _CONTOUR] * 3), self._line)
        _draw_palm(canvas, palm, self._line, _PALM_ROUND * scale + _CONTOUR)
        for k in order:
            if -reach <= depths[k] < reach:
                self._draw_finger(canvas, fingers[k], brush, nail=not shows_palm)
        canvas.drawPath(_chain(joint, [WRIST_RADIUS * scale] * 3), brush)
        _draw_palm(canvas, palm, brush, _PALM_ROUND * scale)
        if shows_palm:
            self._draw_creases(canvas, place)
        for k in order:
            if depths[k] >= reach:
                self._draw_finger(canvas, fingers[k], brush, nail=k == 0 and pose.curls[0] > 0.4)

    def _brush(self, middle: Points, scale: float, pose: ArmPose) -> skia.Paint:
        """The skin of the side that is seen; while the hand turns over, of both."""
        share = min(max(0.5 + 1.2 * math.cos(math.radians(pose.roll)), 0.0), 1.0)
        light, base, shade = (
            blend(back, palm, share) for back, palm in zip(self._tones[False], self._tones[True], strict=True)
        )
        x, y = float(middle[0]), float(middle[1])
        reach = 70.0 * scale
        stops = ((blend(light, base, 0.35), 0.0), (blend(base, shade, 0.62), 1.0))
        return paint(Linear((x - 0.6 * reach, y - reach), (x + 0.6 * reach, y + reach), stops))

    def _draw_finger(self, canvas: skia.Canvas, finger: _Finger, brush: skia.Paint, *, nail: bool) -> None:
        points = finger.joints[:, :2]
        canvas.drawPath(_chain(points, [r + _CONTOUR for r in finger.radii]), self._line)
        canvas.drawPath(_chain(points, finger.radii), brush)
        # A soft light along the side of the lamp.
        shift = np.array([-0.30, -0.20]) * finger.radii[1]
        lit = points[1:] + shift
        canvas.drawPath(_chain(lit, [0.34 * r for r in finger.radii[1:]]), paint(clear(self._shine, 0.40)))
        if nail:
            tip, before = points[3], points[2]
            along = tip - before
            length = float(np.hypot(*along))
            if length > 0.9 * finger.radii[3]:
                along = along / length
                r = finger.radii[3]
                canvas.save()
                centre = tip + along * 0.18 * r
                canvas.translate(float(centre[0]), float(centre[1]))
                canvas.rotate(math.degrees(math.atan2(along[1], along[0])))
                canvas.drawOval(skia.Rect.MakeLTRB(-0.80 * r, -0.56 * r, 0.74 * r, 0.56 * r), self._nail)
                canvas.restore()

    def _draw_creases(self, canvas: skia.Canvas, place: _Place) -> None:
        placed = place(np.array([
            [-21.0, 48.0, 6.0], [-9.0, 46.0, 6.0], [0.0, 34.0, 6.0], [3.0, 12.0, 6.0],
            [22.0, 50.0, 6.0], [10.0, 53.0, 6.0], [-3.0, 56.0, 6.0], [-12.0, 62.0, 6.0],
        ]))[:, :2]  # fmt: skip
        for line in (placed[:4], placed[4:]):
            canvas.drawPath(geometry.path(geometry.taper(line, 1.5)), self._crease)


def _orientation(pose: ArmPose) -> Points:
    """The rotation (3, 3) from the hand's axes to x right, y up, z towards the viewer."""
    roll, tilt, aim = (math.radians(angle) for angle in (pose.roll, pose.tilt, -pose.aim))
    about_y = np.array([[math.cos(roll), 0, -math.sin(roll)], [0, 1, 0], [math.sin(roll), 0, math.cos(roll)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]])
    about_z = np.array([[math.cos(aim), -math.sin(aim), 0], [math.sin(aim), math.cos(aim), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y)


def _fingers(pose: ArmPose, style: Arms) -> list[tuple[Points, tuple[float, ...]]]:
    """Joints (4, 3) in the hand's own axes and radii of the fingers without the thumb."""
    found: list[tuple[Points, tuple[float, ...]]] = []
    for k in range(4)[: style.fingers]:
        across = math.radians(_FAN[k] + _SPREAD[k] * pose.spread)
        curl, bend = pose.curls[k + 1], 0.0
        joints = [_KNUCKLES[k]]
        for share, degrees in zip(_PHALANGES, _BENDS, strict=True):
            bend += math.radians(degrees * curl)
            # Bent fingers close up: their spread goes with the bend.
            side = across * max(math.cos(bend), 0.0)
            step = np.array(
                [math.sin(side) * math.cos(bend), math.cos(side) * math.cos(bend), math.sin(bend)]
            )
            joints.append(joints[-1] + _LENGTHS[k] * share * step)
        found.append((np.array(joints), _RADII[k]))
    return found


def _thumb(pose: ArmPose) -> tuple[Points, tuple[float, ...]]:
    curl, out = pose.curls[0], pose.thumb
    angle = math.radians(-(22.0 + 34.0 * out) * (1.0 - 0.15 * curl))
    joints = [_THUMB_BASE]
    lift = math.radians(14.0 + 22.0 * curl)
    for k, length in enumerate(_THUMB):
        step = np.array([math.sin(angle) * math.cos(lift), math.cos(angle) * math.cos(lift), math.sin(lift)])
        joints.append(joints[-1] + length * step)
        angle += math.radians((14.0, 8.0, 0.0)[k] + (46.0, 40.0, 0.0)[k] * curl)
        lift = math.radians(8.0 + 6.0 * curl)
    return np.array(joints), _THUMB_RADII


def _draw_palm(canvas: skia.Canvas, palm: skia.Path, brush: skia.Paint, rounding: float) -> None:
    outline = skia.Paint(brush)
    outline.setStyle(skia.Paint.kStrokeAndFill_Style)
    outline.setStrokeJoin(skia.Paint.kRound_Join)
    outline.setStrokeWidth(2.0 * rounding)
    canvas.drawPath(palm, outline)


def _hull(points: Points) -> skia.Path:
    hull = cv2.convexHull(points.astype(np.float32))[:, 0, :].tolist()
    path = skia.Path()
    path.addPoly([skia.Point(x, y) for x, y in hull], True)
    return path


def _chain(points: Points, radii: Sequence[float]) -> skia.Path:
    """Circles of the radii at the points (n, 2), joined by their tangents: a finger's outline."""
    path = skia.Path()
    sizes = list(radii)
    spots = points.tolist()
    for (x, y), r in zip(spots, sizes, strict=True):
        path.addCircle(x, y, r)
    for (ax, ay), (bx, by), ra, rb in zip(spots, spots[1:], sizes, sizes[1:], strict=False):
        dx, dy = bx - ax, by - ay
        length = math.hypot(dx, dy)
        if length <= abs(ra - rb) + 1e-6:
            continue
        sine = (ra - rb) / length
        cosine = math.sqrt(1.0 - sine * sine)
        ux, uy = dx / length, dy / length
        # Normals of both tangents; the order keeps the winding of the circles.
        px, py = ux * sine - uy * cosine, uy * sine + ux * cosine
        qx, qy = ux * sine + uy * cosine, uy * sine - ux * cosine
        path.addPoly(
            [
                skia.Point(ax + ra * qx, ay + ra * qy),
                skia.Point(bx + rb * qx, by + rb * qy),
                skia.Point(bx + rb * px, by + rb * py),
                skia.Point(ax + ra * px, ay + ra * py),
            ],
            True,
        )
    return path
