"""Moves arms through the poses of gestures, smoothly and frame by frame. Used by `pose`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from avatar.engines.rig.geometry import Points, near
from avatar.timing.noise import glide
from avatar.tracks import GestureCue

RAISE_S, CHANGE_S, LOWER_S = 0.60, 0.42, 0.75
"""From below the picture up, from one gesture to the next, and down again."""
LONG, WIDE = 150.0, 72.0
"""Of a hand: from the wrist to the fingertips, and from its middle to a thumb that stands off; in units."""
BEFORE_CHEST = (84.0, 252.0)
"""Where a wrist is in a picture as narrow as the shoulders: the fingers end below the chin."""
DRIFT = 1.6
"""Units that a raised hand wanders: nobody holds one quite still."""


@dataclass(frozen=True, slots=True)
class ArmPose:
    """An arm of the picture's right side; the left one is its mirror image.

    wrist    x, y in units, z towards the viewer
    aim      degrees that the fingers point outwards from straight up
    tilt     degrees that they lean towards the viewer
    roll     0 shows the palm, 90 turns it towards the other hand, 180 shows the back
    curls    thumb, index, middle, ring, little finger: 0 straight, 1 in the fist
    spread   of the fingers, 0..1; thumb: how far it stands off, 0..1
    shrug    0..1 of the shoulder
    held     share of the head's movement that the hand follows: 1 where it touches the face
    swivel   degrees that the elbow is lifted outwards
    """

    wrist: tuple[float, float, float]
    aim: float = 0.0
    tilt: float = 0.0
    roll: float = 0.0
    curls: tuple[float, float, float, float, float] = (0.2, 0.12, 0.12, 0.16, 0.2)
    spread: float = 0.3
    thumb: float = 0.5
    shrug: float = 0.0
    held: float = 0.0
    swivel: float = 0.0

    def within(self, room: float) -> ArmPose:
        """Returns the pose with its hand drawn in before the chest and turned up, as far as it takes to reach
        no further than `room` units from the middle.
        """
        if self.wrist[0] + self.hand_reach <= room:
            return self
        low, high = 0.0, 1.0
        for _ in range(10):
            share = (low + high) / 2
            arm = self._drawn_in(share)
            low, high = (low, share) if arm.wrist[0] + arm.hand_reach <= room else (share, high)
        return self._drawn_in(high)

    def _drawn_in(self, share: float) -> ArmPose:
        x, y, z = self.wrist
        x0, y0 = BEFORE_CHEST
        inwards = (x + share * min(0.0, x0 - x), y + share * max(0.0, y0 - y), z)
        return replace(self, wrist=inwards, aim=min(self.aim, self.aim * (1 - share)))

    @property
    def hand_reach(self) -> float:
        """Returns how far the hand reaches outwards from the wrist, in units."""
        aim = math.radians(self.aim)
        return (LONG * max(math.sin(aim), 0.0) + WIDE * abs(math.cos(aim))) * near(self.wrist[2])

    def vector(self) -> Points:
        """Returns all values, float64 (16,), in the order of the fields."""
        rest = (self.spread, self.thumb, self.shrug, self.held, self.swivel)
        return np.array([*self.wrist, self.aim, self.tilt, self.roll, *self.curls, *rest])

    @classmethod
    def of(cls, vector: Points) -> ArmPose:
        """Returns the pose of such a vector."""
        v = vector.tolist()
        return cls((v[0], v[1], v[2]), v[3], v[4], v[5], (v[6], v[7], v[8], v[9], v[10]), *v[11:16])


HANGING = ArmPose((205.0, 530.0, 30.0), aim=-14.0, tilt=10.0, roll=60.0, curls=(0.3, 0.35, 0.4, 0.45, 0.5))
_FOLD = 0.94
POSES: dict[str, ArmPose] = {
    "beat": ArmPose(
        (172, 214, 110), aim=-12, tilt=14, roll=30, curls=(0.28, 0.14, 0.22, 0.31, 0.40), spread=0.3,
        thumb=0.5,
    ),
    "open-palm": ArmPose(
        (206, 206, 90), aim=50, tilt=24, roll=-8, curls=(0.05, 0.06, 0.08, 0.12, 0.14), spread=0.42,
        thumb=0.8, swivel=-30,
    ),
    "point": ArmPose(
        (246, 186, 60), aim=66, tilt=8, roll=-6, curls=(0.62, 0.0, _FOLD, _FOLD, _FOLD), spread=0.1,
        thumb=0.25, swivel=-42,
    ),
    "count-1": ArmPose((176, 200, 90), aim=5, curls=(0.85, 0.0, _FOLD, _FOLD, _FOLD), spread=0.1, thumb=0.1),
    "count-2": ArmPose((176, 200, 90), aim=5, curls=(0.85, 0.0, 0.0, _FOLD, _FOLD), spread=0.75, thumb=0.1),
    "count-3": ArmPose((176, 200, 90), aim=5, curls=(0.85, 0.0, 0.0, 0.0, _FOLD), spread=0.7, thumb=0.1),
    "count-4": ArmPose((176, 200, 90), aim=5, curls=(0.85, 0.0, 0.0, 0.0, 0.02), spread=0.7, thumb=0.1),
    "count-5": ArmPose((176, 200, 90), aim=5, curls=(0.0, 0.0, 0.0, 0.0, 0.02), spread=0.9, thumb=0.95),
    "wave": ArmPose(
        (198, 164, 90), aim=2, curls=(0.05, 0.03, 0.03, 0.05, 0.08), spread=0.6, thumb=0.7, swivel=-12
    ),
    "shrug": ArmPose(
        (222, 224, 110), aim=48, tilt=38, roll=-14, curls=(0.05, 0.1, 0.13, 0.17, 0.2), spread=0.5, thumb=0.8,
        shrug=1.0, swivel=-30,
    ),
    "think": ArmPose(
        (101, 246, 150), aim=-26, tilt=4, roll=152, curls=(0.15, 0.1, 0.82, 0.86, 0.9), spread=0.1,
        thumb=0.55, held=0.8,
    ),
}  # fmt: skip
_DELTA = dict[str, float]
_FIELDS = {"x": 0, "y": 1, "z": 2, "aim": 3, "tilt": 4}
_INNER: dict[str, tuple[tuple[float, _DELTA], ...]] = {
    # Seconds after the stroke, and what differs from the pose there.
    "beat": ((-0.16, {"y": -17, "aim": 7}), (0.0, {}), (0.34, {"y": -5, "aim": 2})),
    "open-palm": ((0.0, {}), (0.45, {"y": 4, "aim": 3})),
    "wave": ((0.0, {"aim": -15}), (0.24, {"aim": 17, "x": 7}), (0.48, {"aim": -15}),
             (0.72, {"aim": 17, "x": 7}), (0.96, {"aim": -13}), (1.2, {"aim": 4})),
    "shrug": ((0.0, {"y": -8}), (0.3, {})),
    "point": ((0.0, {"x": 9}), (0.22, {})),
}  # fmt: skip


def shape_of(name: str) -> str:
    """Returns the name of the pose of a gesture; both sides point alike."""
    return "point" if name.startswith("point-") else name


class ArmsTimeline:
    """Both arms over the time of a scene. Immutable; `at` may be called in any order."""

    def __init__(self, cues: Sequence[GestureCue]) -> None:
        self._sides = tuple(
            _Keys([cue for cue in cues if cue.side in (side, "both")]) for side in ("left", "right")
        )

    def at(self, time_s: float) -> tuple[ArmPose | None, ArmPose | None]:
        """Returns the picture's left and right arm; None for one that hangs below."""
        left, right = (keys.at(time_s) for keys in self._sides)
        return left, right


class _Keys:
    """Times (n,) and pose vectors (n, 16) of one arm; between them it moves with the least jerk."""

    def __init__(self, cues: Sequence[GestureCue]) -> None:
        hanging = HANGING.vector()
        times: list[float] = []
        poses: list[Points] = []
        for index, cue in enumerate(cues):
            keys = _keys_of(cue)
            first = keys[0][0]
            if not times or first - times[-1] >= RAISE_S + LOWER_S * 0.6:
                if times:
                    times.append(min(times[-1] + LOWER_S, first - RAISE_S))
                    poses.append(hanging)
                times.append(max(first - RAISE_S, times[-1] if times else first - RAISE_S))
                poses.append(hanging)
            else:
                # The hand stays up, and leaves its place in time for the next stroke.
                times.append(max(times[-1] + 0.02, first - max(CHANGE_S, 0.5 * (first - times[-1]))))
                poses.append(poses[-1])
            for at, pose in keys:
                times.append(max(at, times[-1] + 0.04))
                poses.append(pose)
            if index == len(cues) - 1:
                times.append(times[-1] + LOWER_S)
                poses.append(hanging)
        self._times = np.array(times)
        self._poses = np.array(poses).reshape(-1, len(hanging))

    def at(self, time_s: float) -> ArmPose | None:
        after = int(np.searchsorted(self._times, time_s, side="right"))
        if after == 0 or after == len(self._times):
            return None
        before, next_one = self._poses[after - 1], self._poses[after]
        if np.array_equal(before, next_one):
            vector = before.copy()
        else:
            start, end = self._times[after - 1], self._times[after]
            share = float(glide(np.array((time_s - start) / (end - start))))
            vector = before + (next_one - before) * share
        if vector[1] == HANGING.wrist[1]:
            return None
        vector[0] += DRIFT * math.sin(2.1 * time_s)
        vector[1] += DRIFT * math.sin(2.9 * time_s + 0.7)
        vector[3] += DRIFT * math.sin(2.4 * time_s + 1.9)
        return ArmPose.of(vector)


def _keys_of(cue: GestureCue) -> list[tuple[float, Points]]:
    """Returns the moments of one gesture, the last at its release."""
    shape = shape_of(cue.name)
    pose, hanging = POSES[shape].vector(), HANGING.vector()
    # A smaller gesture stays lower and nearer to the body; the hand's shape is the same.
    pose[:2] += max(1.0 - cue.size, 0.0) * 0.10 * (hanging[:2] - pose[:2])
    keys: list[tuple[float, Points]] = []
    for offset, delta in _INNER.get(shape, ((0.0, {}),)):
        if keys and cue.stroke_s + offset > cue.release_s:
            break
        vector = pose.copy()
        for name, value in delta.items():
            vector[_FIELDS[name]] += cue.size * value
        keys.append((cue.stroke_s + offset, vector))
    if cue.release_s > keys[-1][0] + 0.02:
        keys.append((cue.release_s, keys[-1][1]))
    return keys
