"""A control track moves a photo: each channel moves what it names, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from avatar.engines.liveportrait.motion_values import Motion
from avatar.engines.liveportrait.poses import Openings, SourceFace
from avatar.engines.liveportrait.puppet import motion_at, speech_poses
from avatar.face.landmarks import POINT_COUNT, FaceLandmarks
from avatar.tracks import CHANNELS, ControlTrack

QUIET = dict.fromkeys(CHANNELS, 0.0)


@pytest.fixture
def source() -> SourceFace:
    draw = np.random.default_rng(3).normal
    motion = Motion(
        kp=draw(0, 0.3, (21, 3)).astype(np.float32),
        exp=np.zeros((21, 3), np.float32),
        rotation=np.eye(3, dtype=np.float32),
        t=np.zeros(3, np.float32),
        scale=1.4,
    )
    return SourceFace(motion, Openings(np.array([0.3, 0.34], np.float32), 0.05), np.eye(3)[:2])


@pytest.fixture
def landmarks() -> FaceLandmarks:
    points = np.zeros((POINT_COUNT, 3), np.float32)
    points[33, 0], points[263, 0] = 100, 200
    points[61, 0], points[291, 0] = 125, 175
    return FaceLandmarks(points, 1.0)


def track(**curves: list[float]) -> ControlTrack:
    frames = max(len(curve) for curve in curves.values())
    quiet = {name: np.zeros(frames, np.float32) for name in CHANNELS}
    return ControlTrack(25, quiet | {name: np.array(curve, np.float32) for name, curve in curves.items()})


def test_silence_leaves_the_photo_and_shuts_its_lips(source: SourceFace, landmarks: FaceLandmarks) -> None:
    (pose,) = speech_poses(source, landmarks, track(jaw=[0.0]))
    np.testing.assert_allclose(pose.driven, pose.source, atol=1e-6)
    assert pose.eyes is None
    assert pose.lips is not None
    assert pose.lips.tolist() == pytest.approx([0.05, 0.0])


def test_the_wanted_gap_is_the_intended_aperture_over_the_mouth(
    source: SourceFace, landmarks: FaceLandmarks
) -> None:
    (pose,) = speech_poses(source, landmarks, track(jaw=[1.0]))
    assert pose.lips is not None
    assert pose.lips[1] == pytest.approx(0.20 / 0.5), "E is 100 px here, the mouth 50"


def test_a_blink_asks_for_shut_lids(source: SourceFace, landmarks: FaceLandmarks) -> None:
    half, shut = speech_poses(source, landmarks, track(blink=[0.5, 1.0]))
    assert half.eyes is not None and shut.eyes is not None
    assert half.eyes.tolist() == pytest.approx([0.3, 0.34, 0.16])
    assert shut.eyes[2] == 0


@pytest.mark.parametrize(
    ("channel", "axis", "sign"), [("yaw_deg", 0, 1), ("pitch_deg", 1, 1), ("sway", 0, 1)]
)
def test_the_head_turns_as_the_track_says(channel: str, axis: int, sign: int) -> None:
    nose = np.array([[0, 0, -1]], np.float32)
    motion = motion_at(QUIET | {channel: 1.0})
    placed = nose @ motion.rotation + motion.t
    assert np.sign(placed[0, axis]) == sign


def test_a_clockwise_tilt_takes_the_right_side_down() -> None:
    right = np.array([[1, 0, 0]], np.float32) @ motion_at(QUIET | {"roll_deg": 5.0}).rotation
    assert right[0, 1] > 0


@pytest.mark.parametrize(
    ("channel", "value", "points"),
    [
        ("wide", 1.0, {3, 7, 14, 17, 20}),
        ("wide", -1.0, {3, 7, 14, 17}),
        ("gaze_x", 1.0, {11, 15}),
        ("gaze_y", -1.0, {11, 15}),
        ("brow", 1.0, {1, 2}),
        ("brow", -1.0, {1, 2}),
    ],
)
def test_a_channel_shifts_its_own_keypoints(channel: str, value: float, points: set[int]) -> None:
    exp = motion_at(QUIET | {channel: value}).exp
    assert set(np.flatnonzero(exp.any(axis=1)).tolist()) == points
    assert np.abs(exp).max() <= 0.021


def test_a_mood_reaches_corners_brows_and_lids(source: SourceFace, landmarks: FaceLandmarks) -> None:
    quiet, warm, sad = (motion_at(QUIET | mood).exp for mood in ({}, {"smile": 0.6}, {"smile": -0.6}))
    assert warm[14, 1] < quiet[14, 1] < sad[14, 1], "y is down"
    assert np.abs(sad).max() < np.abs(warm).max(), "the published range of sadness is smaller"
    up, down = (motion_at(QUIET | {"brow_tilt": value}).exp for value in (1.0, -1.0))
    assert up[1, 1] > 0 > up[2, 1] and np.allclose(up, -down)
    wide, low = speech_poses(source, landmarks, track(lid=[1.0, -1.0]))
    assert wide.eyes is not None and low.eyes is not None
    assert wide.eyes[2] > 0.32 > low.eyes[2] > 0.2


def test_lids_of_a_mood_do_not_hold_a_blink_open(source: SourceFace, landmarks: FaceLandmarks) -> None:
    (shut,) = speech_poses(source, landmarks, track(lid=[1.0], blink=[1.0]))
    assert shut.eyes is not None and shut.eyes[2] == 0
