"""A template moves a photo's head, gaze, brows and lids; its lips are the speech's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from avatar.engines.liveportrait.beside_speech import Driving, driving_poses
from avatar.engines.liveportrait.drive import LIP_POINTS
from avatar.engines.liveportrait.motion_values import Motion, Pose, rotation_of
from avatar.engines.liveportrait.poses import DrivingFace, Openings, SourceFace
from avatar.engines.liveportrait.puppet import speech_poses
from avatar.engines.liveportrait.template import MotionTemplate, template_of
from avatar.face.landmarks import POINT_COUNT, FaceLandmarks
from avatar.tracks import CHANNELS, ControlTrack

REST = Motion(
    kp=np.zeros((21, 3), np.float32),
    exp=np.full((21, 3), 0.07, np.float32),
    rotation=rotation_of(4, -3, 2),
    t=np.array([0.1, 0.2, 0], np.float32),
    scale=1.5,
)
OPEN, SHUT = np.array([0.3, 0.3], np.float32), np.array([0.02, 0.02], np.float32)
OTHERS = [point for point in range(21) if point not in LIP_POINTS]


@pytest.fixture
def source() -> SourceFace:
    kp = np.random.default_rng(3).normal(0, 0.3, (21, 3)).astype(np.float32)
    motion = Motion(kp, kp * 0.1, rotation_of(1, 5, 0), np.zeros(3, np.float32), 1.4)
    return SourceFace(motion, Openings(np.array([0.3, 0.34], np.float32), 0.05), np.eye(3)[:2])


@pytest.fixture
def landmarks() -> FaceLandmarks:
    points = np.zeros((POINT_COUNT, 3), np.float32)
    points[33, 0], points[263, 0] = 100, 200
    points[61, 0], points[291, 0] = 125, 175
    return FaceLandmarks(points, 1.0)


def template(*motions: Motion, fps: float = 25, eyes: Any = None) -> MotionTemplate:
    opened = [OPEN] * len(motions) if eyes is None else eyes
    faces = zip(motions, opened, strict=True)
    return template_of(fps, (DrivingFace(motion, Openings(eye, 0.2)) for motion, eye in faces))


def track(frames: int, **channels: float) -> ControlTrack:
    values = dict.fromkeys(CHANNELS, 0.0) | channels
    return ControlTrack(25, {name: np.full(frames, value, np.float32) for name, value in values.items()})


def last_pose(source: SourceFace, landmarks: FaceLandmarks, now: Motion, **channels: float) -> Pose:
    driving = Driving.over(template(REST, now), 25, 2)
    *_, last = driving_poses(source, landmarks, track(2, **channels), driving)
    return last


def test_the_first_frame_is_the_photo_whatever_the_driver_does_in_it(
    source: SourceFace, landmarks: FaceLandmarks
) -> None:
    first, _ = driving_poses(source, landmarks, track(2), Driving.over(template(REST, REST), 25, 2))
    np.testing.assert_allclose(first.driven, source.keypoints, atol=1e-6)


def test_the_head_turns_shifts_and_grows_as_the_drivers_has_since(
    source: SourceFace, landmarks: FaceLandmarks
) -> None:
    turn = rotation_of(6, 10, -4)
    now = replace(
        REST, rotation=turn @ REST.rotation, t=REST.t + np.float32([0.05, -0.02, 0]), scale=REST.scale * 1.1
    )
    pose = last_pose(source, landmarks, now)
    here = source.motion
    expected = 1.4 * 1.1 * (here.kp @ (turn @ here.rotation) + here.exp) + np.float32([0.05, -0.02, 0])
    np.testing.assert_allclose(pose.driven, expected, atol=1e-5)


def test_the_tracks_own_head_motion_gaze_and_brows_are_not_added(
    source: SourceFace, landmarks: FaceLandmarks
) -> None:
    busy = {"yaw_deg": 9.0, "pitch_deg": 5.0, "sway": 1.0, "gaze_x": 1.0, "brow": 1.0}
    still, moving = (last_pose(source, landmarks, REST, **more) for more in ({}, busy))
    np.testing.assert_allclose(moving.driven, still.driven)


def test_expression_is_the_drivers_but_for_the_lips(source: SourceFace, landmarks: FaceLandmarks) -> None:
    change = np.random.default_rng(5).normal(0, 0.02, (21, 3)).astype(np.float32)
    pose = last_pose(source, landmarks, replace(REST, exp=REST.exp + change))
    moved = (pose.driven - source.keypoints) / source.motion.scale
    np.testing.assert_allclose(moved[OTHERS], change[OTHERS], atol=1e-6)
    np.testing.assert_allclose(moved[list(LIP_POINTS)], 0, atol=1e-6)


@pytest.mark.parametrize("channels", [{"jaw": 0.8}, {"wide": 1.0}, {"wide": -1.0, "low": 0.5}])
def test_the_lips_are_those_of_the_speech(
    source: SourceFace, landmarks: FaceLandmarks, channels: dict[str, float]
) -> None:
    exp = REST.exp.copy()
    exp[list(LIP_POINTS)] += 0.1
    pose = last_pose(source, landmarks, replace(REST, exp=exp), **channels)
    *_, spoken = speech_poses(source, landmarks, track(2, **channels))
    assert pose.lips is not None and spoken.lips is not None
    np.testing.assert_array_equal(pose.lips, spoken.lips)
    np.testing.assert_allclose(pose.driven, spoken.driven, atol=1e-6)


@pytest.mark.parametrize(("filmed", "blinks"), [([OPEN, SHUT], False), ([OPEN, OPEN], True)])
def test_blinks_are_the_drivers_or_the_tracks_where_the_driver_has_none(
    source: SourceFace, landmarks: FaceLandmarks, filmed: Any, blinks: bool
) -> None:
    driving = Driving.over(template(REST, REST, eyes=filmed), 25, 6)
    poses = list(driving_poses(source, landmarks, track(6, blink=1.0), driving))
    assert [pose.eyes is not None for pose in poses] == [blinks] * 6


def nodding(frames: int, fps: float = 25) -> MotionTemplate:
    """From still to still."""
    angles = 10 * np.sin(np.linspace(0, 1.5 * np.pi, frames)) ** 2
    return template(*(replace(REST, rotation=rotation_of(angle, 0, 0)) for angle in angles), fps=fps)


def angles_of(driving: Driving) -> np.ndarray[Any, Any]:
    return np.degrees([np.arcsin(motion.rotation[1, 2]) for motion in driving.motions()])


def test_a_scene_that_is_longer_goes_back_and_forth_without_a_jump() -> None:
    nodding_template = nodding(40)
    once = np.abs(np.diff(angles_of(Driving.over(nodding_template, 25, 40)))).max()
    longer = Driving.over(nodding_template, 25, 300)
    angles = angles_of(longer)
    assert len(angles) == 300 and np.abs(np.diff(angles)).max() <= once * 1.01 + 1e-3
    assert longer.places[0] == 0 and angles[150:].max() > 9, "it goes on moving"


@pytest.mark.parametrize(("fps", "of_template"), [(25, 30.0), (30, 24.0), (50, 25.0)])
def test_it_plays_at_its_own_speed_and_smoothly_at_any_rate(fps: int, of_template: float) -> None:
    seconds = 2
    driving = Driving.over(nodding(int(of_template * seconds), of_template), fps, fps * seconds - 4)
    exact = (
        10
        * np.sin(np.arange(fps * seconds - 4) / fps * of_template / (of_template * seconds - 1) * 1.5 * np.pi)
        ** 2
    )
    np.testing.assert_allclose(angles_of(driving), exact, atol=0.06)


def test_a_turn_between_two_rows_is_a_turn() -> None:
    one, other = rotation_of(0, 0, 0), rotation_of(0, 40, 0)
    nodding_template = template(*(replace(REST, rotation=turn) for turn in (one, other)), fps=25)
    _, middle, _ = Driving.over(nodding_template, 50, 3).motions()
    np.testing.assert_allclose(middle.rotation, rotation_of(0, 20, 0), atol=1e-5)
