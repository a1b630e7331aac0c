"""Drives a photo by the control track of a speech: text alone moves the face, nobody is filmed.

Lips and lids are opened by the retargeting networks, which know the source's own; the head turns by
geometry; brows, gaze, lip corners and pout shift the keypoints that carry them. The shifts are the ranges of
the published puppet controls. How they look has to be judged with the published weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from avatar.engines.liveportrait.drive import DriveStyle, move_source, neutral, target_motion
from avatar.engines.liveportrait.motion_values import Array, Motion, Pose, rotation_of
from avatar.engines.liveportrait.poses import SourceFace
from avatar.engines.liveportrait.sizes import KEYPOINTS
from avatar.face.landmarks import FaceLandmarks
from avatar.face.layouts import layout_of
from avatar.tracks import ControlTrack

X, Y, Z = 0, 1, 2
_SPREAD = {(20, Y): -0.008, (14, Y): -0.016, (17, Y): 0.005, (17, Z): 0.0024, (3, Y): -0.003, (7, Y): -0.003}
"""Lip corners apart (wide = 1): the published smile, to four fifths."""
_PURSE = {(14, Y): 0.010, (3, Y): -0.005, (7, Y): -0.005, (17, Z): -0.005}
"""Lips together (wide = -1)."""
_GAZE_X = {(11, X): 0.013, (15, X): 0.013}
_GAZE_Y = {(11, Y): 0.012, (15, Y): 0.012}
_BROW_UP = {(1, Y): 0.020, (2, Y): -0.020}
_BROW_DOWN = {(1, X): 0.020, (2, X): -0.020, (1, Y): -0.006, (2, Y): 0.006}
_BROW_TILT = {(1, X): -0.010, (2, X): 0.010, (1, Y): 0.006, (2, Y): -0.006}
"""Inner ends of the brows up (brow_tilt = 1); down, they draw together as in `_BROW_DOWN`."""
_LEAST_SMILE = -0.3
"""The published range of the smile ends there."""
_LID_SHARE = 0.25
"""Of the open eyes, what a mood opens further or shuts."""
_SWAY_T = 0.02
"""Of the crop's half side."""
_LEAST_BLINK = 0.02


def motion_at(values: Mapping[str, float]) -> Motion:
    """Returns the pose of a still face in one frame of a control track.

    The track turns to the picture's right, looks down and tilts clockwise for positive angles. Here x is
    right, y down and z inwards, so the nose is at negative z and a positive turn about y takes it left.
    """
    exp = mouth_shifts(values) + _shifts(
        (_GAZE_X, values["gaze_x"]),
        (_GAZE_Y, values["gaze_y"]),
        (_BROW_UP, max(0.0, values["brow"])),
        (_BROW_DOWN, max(0.0, -values["brow"])),
        (_SPREAD, max(_LEAST_SMILE, values["smile"])),
        (_BROW_TILT, values["brow_tilt"]),
    )
    still = neutral()
    turned = rotation_of(values["pitch_deg"], -values["yaw_deg"], values["roll_deg"])
    return Motion(still.kp, exp, turned, np.array([_SWAY_T * values["sway"], 0, 0], np.float32), 1.0)


def mouth_shifts(values: Mapping[str, float]) -> Array:
    """Returns what the mouth's channels of one frame add to the expression (21, 3), but for how far it is
    open.
    """
    return _shifts((_SPREAD, max(0.0, values["wide"])), (_PURSE, max(0.0, -values["wide"])))


def _shifts(*parts: tuple[Mapping[tuple[int, int], float], float]) -> Array:
    exp = np.zeros((KEYPOINTS, 3), np.float32)
    for table, amount in parts:
        for (point, axis), reach in table.items():
            exp[point, axis] += reach * amount
    return exp


def lip_gaps(landmarks: FaceLandmarks, track: ControlTrack) -> Array:
    """Returns how far the lips are to be open in each frame, height over width (frames,)."""
    corners = landmarks.points[list(layout_of(landmarks.points).lips[2:]), :2]
    mouth_e = float(np.linalg.norm(corners[1] - corners[0])) / max(landmarks.eye_distance_px, 1e-6)
    gaps = track.aperture_e() / max(mouth_e, 0.1)
    return np.asarray(gaps, np.float32)


def speech_poses(source: SourceFace, landmarks: FaceLandmarks, track: ControlTrack) -> Iterator[Pose]:
    """One pose per frame of the track. `landmarks`: the source's, which tell how wide its mouth is."""
    gaps = lip_gaps(landmarks, track)
    style, first = DriveStyle(), neutral()
    keypoints = source.keypoints
    for index in range(track.frames):
        values = track.at(index)
        motion = motion_at(values)
        target = target_motion(source.motion, first, motion, style)
        driven = move_source(source.motion, first, motion, target, style).keypoints()
        yield Pose(
            source=keypoints,
            driven=driven,
            eyes=lids(source, values["blink"], values["lid"]),
            lips=np.array([source.openings.lips, gaps[index]], np.float32),
        )


def lids(source: SourceFace, blink: float, lid: float = 0.0) -> Array | None:
    """The network is called only while the lids move or a mood sets them: else they are the photo's."""
    if blink < _LEAST_BLINK and abs(lid) * _LID_SHARE < _LEAST_BLINK:
        return None
    eyes = source.openings.eyes
    opened = (1 - min(1.0, blink)) * (1 + _LID_SHARE * lid)
    return np.array([*eyes, opened * float(eyes.mean())], np.float32)
