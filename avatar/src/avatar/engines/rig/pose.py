"""Computes head and body in each frame of a control track. The engine calls it, every part reads it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import skia

from avatar.engines.rig.arm_motion import ArmPose, ArmsTimeline
from avatar.engines.rig.geometry import Points, smoothstep
from avatar.engines.rig.torso import LEAN_PER_SWAY_DEG, TorsoField, TorsoPose
from avatar.tracks import Motion

HEAD_RADIUS = (92.0, 178.0, 78.0)
"""Half axes of the ellipsoid that stands for the head when it turns: width, height, depth."""
HEAD_CENTRE_Y = 12.0
PITCH_PIVOT = 60.0
NECK_PIVOT = (0.0, 122.0)
SWAY_HEAD = 3.0
"""Sideways units that the head moves beyond what the leaning torso carries it."""
CHIN_DROP = 13.0
NECK_BASE_Y = 172.0
TORSO_YAW = 0.42
"""Share of the head's turn that the torso follows."""
_NECK_BASE = TorsoField(np.array([[0.0, NECK_BASE_Y]]))


def surface(points: Points) -> npt.NDArray[np.float64]:
    """Depth of the head's surface before the ears at `points` (n, 2) → (n,); 0 outside the head."""
    rx, ry, rz = HEAD_RADIUS
    inside = 1.0 - (points[:, 0] / rx) ** 2 - ((points[:, 1] - HEAD_CENTRE_Y) / ry) ** 2
    return np.asarray(rz * np.sqrt(np.clip(inside, 0.0, 1.0)))


def jaw_weight(y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns the share of the chin's drop at `y`: none above the nose, all from the lower lip down."""
    return smoothstep(38.0, 110.0, y)


@dataclass(frozen=True)
class Pose:
    """All of one frame: the channels, and `swing`, how far hair trails behind the head (units)."""

    channels: dict[str, float]
    swing: float = 0.0
    lagging: TorsoPose | None = None
    """Of the torso; None where it does not lag behind the head."""
    arms: tuple[ArmPose | None, ArmPose | None] = (None, None)
    """Of the picture's left and right arm; None hangs below the picture."""

    def __getitem__(self, channel: str) -> float:
        return self.channels[channel]

    @cached_property
    def torso(self) -> TorsoPose:
        """Returns the torso under the head."""
        if self.lagging is not None:
            return self.lagging
        left, right = (0.0 if arm is None else arm.shrug for arm in self.arms)
        lean = _lean_of(self.channels)
        return TorsoPose(TORSO_YAW * self["yaw_deg"], lean, self["breath"], left, right)

    @cached_property
    def _angles(self) -> tuple[float, float, float, float]:
        yaw, pitch = math.radians(self["yaw_deg"]), math.radians(self["pitch_deg"])
        return math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)

    def turn(self, points: Points, depth: npt.NDArray[np.float64] | float) -> Points:
        """Yaw and pitch of points (n, 2) at a depth (n,): an orthographic view of the turned head."""
        cos_yaw, sin_yaw, cos_pitch, sin_pitch = self._angles
        out = np.empty_like(points)
        out[:, 0] = points[:, 0] * cos_yaw + depth * sin_yaw
        out[:, 1] = PITCH_PIVOT + (points[:, 1] - PITCH_PIVOT) * cos_pitch + depth * sin_pitch
        return out

    @cached_property
    def on_head(self) -> Points:
        """Returns what takes (x, y, depth, 1) to a point of the picture: turn, roll and sway, (4, 2)."""
        cos_yaw, sin_yaw, cos_pitch, sin_pitch = self._angles
        turned = np.array(
            [[cos_yaw, 0.0], [0.0, cos_pitch], [sin_yaw, sin_pitch], [0.0, PITCH_PIVOT * (1.0 - cos_pitch)]]
        )
        m = [self.head.get(k) for k in range(6)]
        on_head: Points = turned @ np.array([[m[0], m[3]], [m[1], m[4]]])
        on_head[3] += (m[2], m[5])
        return on_head

    @cached_property
    def along_head(self) -> npt.NDArray[np.float64]:
        """Returns where one unit to the right of the head lies in the picture, (2,)."""
        return np.array([self.head.get(0), self.head.get(3)])

    def plate(self, x: float, y: float, extra: float = 0.0) -> skia.Matrix:
        """The turn near (x, y) as an affine map from coordinates with their origin there: for small parts."""
        step = 4.0
        probe = np.array([[x, y], [x + step, y], [x, y + step]])
        depth = surface(probe) + extra
        o, u, v = self.turn(probe, depth)
        matrix = skia.Matrix()
        matrix.setAll(
            (u[0] - o[0]) / step, (v[0] - o[0]) / step, o[0],
            (u[1] - o[1]) / step, (v[1] - o[1]) / step, o[1],
            0, 0, 1,
        )  # fmt: skip
        return matrix

    @cached_property
    def head(self) -> skia.Matrix:
        """Roll, sway and breath of the whole head, on the shoulders that carry it."""
        matrix = skia.Matrix()
        matrix.setRotate(self["roll_deg"], *NECK_PIVOT)
        dx, dy = (_NECK_BASE.move(self.torso)[0] - (0.0, NECK_BASE_Y)).tolist()
        matrix.postTranslate(dx + SWAY_HEAD * self["sway"], 0.8 * dy)
        return matrix


def map_points(matrix: skia.Matrix, points: Points) -> Points:
    """Apply an affine skia matrix to points (n, 2)."""
    m = [matrix.get(k) for k in range(6)]
    return np.stack([points @ np.array([m[0], m[1]]) + m[2], points @ np.array([m[3], m[4]]) + m[5]], axis=1)


def poses(track: Motion) -> Iterator[Pose]:
    """Returns one pose per frame: torso and hair are damped springs that follow the head.

    Reads each frame when it is asked for: the gestures of a live track may change between frames.
    """
    dt = 1.0 / track.fps
    hair, yaw, lean = (_Spring(*numbers) for numbers in ((60.0, 9.0), (30.0, 9.0), (22.0, 8.0)))
    gestures = track.gestures
    arms = ArmsTimeline(gestures)
    for index in range(track.frames):
        channels = track.at(index)
        if track.gestures is not gestures:
            gestures = track.gestures
            arms = ArmsTimeline(gestures)
        target = 0.9 * channels["yaw_deg"] + 1.4 * channels["roll_deg"] + 5.0 * channels["sway"]
        swing = hair.follow(target, dt) - target
        raised = arms.at((index + 0.5) * dt)
        torso = TorsoPose(
            yaw.follow(TORSO_YAW * channels["yaw_deg"], dt),
            lean.follow(_lean_of(channels), dt),
            channels["breath"],
            *(0.0 if arm is None else arm.shrug for arm in raised),
        )
        yield Pose(channels, float(np.clip(1.25 * swing, -12.0, 12.0)), torso, raised)


def _lean_of(channels: dict[str, float]) -> float:
    return LEAN_PER_SWAY_DEG * channels["sway"] + 0.16 * channels["roll_deg"]


class _Spring:
    """A damped spring that starts at rest where its first target is."""

    def __init__(self, stiffness: float, damping: float) -> None:
        self._stiffness, self._damping = stiffness, damping
        self._place: float | None = None
        self._speed = 0.0

    def follow(self, target: float, dt: float) -> float:
        """Returns the place after `dt` seconds."""
        place = target if self._place is None else self._place
        for _ in range(4):
            self._speed += (self._stiffness * (target - place) - self._damping * self._speed) * dt / 4
            place += self._speed * dt / 4
        self._place = place
        return place
