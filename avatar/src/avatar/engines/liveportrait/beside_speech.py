"""A photo that speaks while somebody who was filmed moves it: its lips follow the control track of the
speech, all else a motion template.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from avatar.engines.liveportrait.drive import LIP_POINTS, DriveStyle, move_source, target_motion
from avatar.engines.liveportrait.motion_values import Array, Motion, Pose
from avatar.engines.liveportrait.poses import SourceFace
from avatar.engines.liveportrait.puppet import lids, lip_gaps, mouth_shifts
from avatar.engines.liveportrait.template import MotionTemplate
from avatar.engines.motion.timeline import lay_out
from avatar.face.landmarks import FaceLandmarks
from avatar.tracks import ControlTrack

BLINK_SHARE = 0.5
"""Of how far the eyes are open mostly; below it they blink."""


@dataclass(frozen=True, slots=True)
class Driving:
    """The motion of a filmed face in each frame of a scene: the place of each frame in the template, float64
    (frames,), between two of its rows where the rates differ.
    """

    template: MotionTemplate
    places: npt.NDArray[np.float64]

    @classmethod
    def over(cls, template: MotionTemplate, fps: int, frames: int) -> Driving:
        """From the template's first row on at its own speed; back and forth when it is shorter than the
        scene, turning where the head is still.
        """
        rate = template.fps / fps
        steps = max(1, int((len(template) - 1) / rate) + 1)
        at = np.arange(steps) * rate
        order = lay_out("ping_pong", steps, frames, fps, _restless(template, at))
        return cls(template, at[order])

    @property
    def blinks(self) -> bool:
        """Returns whether the filmed face ever blinks: one that does not would make the photo stare."""
        opened = self.template.rows["eyes"].mean(axis=1)
        return bool((opened < BLINK_SHARE * np.median(opened)).any())

    def motions(self) -> Iterator[Motion]:
        """One for each frame of the scene."""
        return (_motion_at(self.template, float(place)) for place in self.places)


def driving_poses(
    source: SourceFace, landmarks: FaceLandmarks, track: ControlTrack, driving: Driving
) -> Iterator[Pose]:
    """As `spoken_poses`; head, gaze, brows and lids move as the filmed face does since its first frame."""
    style, first = DriveStyle(), driving.template.face(0).motion
    gaps, blinks, keypoints = lip_gaps(landmarks, track), driving.blinks, source.keypoints
    lips = list(LIP_POINTS)
    for index, filmed in enumerate(driving.motions()):
        values = track.at(index)
        exp = filmed.exp.copy()
        exp[lips] = first.exp[lips]
        now = replace(filmed, exp=exp + mouth_shifts(values))
        driven = move_source(
            source.motion, first, now, target_motion(source.motion, first, now, style), style
        )
        yield Pose(
            source=keypoints,
            driven=driven.keypoints(),
            eyes=None if blinks else lids(source, values["blink"]),
            lips=np.array([source.openings.lips, gaps[index]], np.float32),
        )


def _motion_at(template: MotionTemplate, place: float) -> Motion:
    """Between two rows: what lies between them, the rotation made one again (its nearest, by SVD)."""
    row = int(place)
    share = np.float32(place - row)
    here = template.face(row).motion
    if share < 1e-6 or row + 1 >= len(template):
        return here
    there = template.face(row + 1).motion

    def between(one: Array, other: Array) -> Array:
        return np.asarray(one + share * (other - one), np.float32)

    left, _, right = np.linalg.svd(between(here.rotation, there.rotation))
    return Motion(
        kp=here.kp,
        exp=between(here.exp, there.exp),
        rotation=np.asarray(left @ right, np.float32),
        t=between(here.t, there.t),
        scale=here.scale + float(share) * (there.scale - here.scale),
    )


def _restless(template: MotionTemplate, places: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Returns the speed of the head at each place, float32 (places,): turns and shifts between neighbours."""
    rows = places.astype(int)
    pose = np.concatenate(
        [template.rows["rotation"][rows].reshape(len(rows), 9), template.rows["t"][rows]], 1
    )
    if len(rows) < 2:
        return np.zeros(len(rows), np.float32)
    return np.asarray(np.linalg.norm(np.gradient(pose, axis=0), axis=1), np.float32)
