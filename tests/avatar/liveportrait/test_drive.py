"""The arithmetic between what faces do and where keypoints go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from avatar.engines.liveportrait.drive import (
    LAG,
    OBSERVATION_VARIANCE,
    PROCESS_VARIANCE,
    DriveStyle,
    move_source,
    neutral,
    smooth,
    target_motion,
)
from avatar.engines.liveportrait.motion_values import Array, Motion, degrees_of, rotation_of
from avatar.engines.liveportrait.poses import (
    DrivingFace,
    Manner,
    Openings,
    SourceFace,
    rest_motion,
    still_poses,
    video_poses,
)


def some_motion(seed: int) -> Motion:
    draw = np.random.default_rng(seed).normal
    return Motion(
        kp=draw(0, 0.3, (21, 3)).astype(np.float32),
        exp=draw(0, 0.03, (21, 3)).astype(np.float32),
        rotation=rotation_of(*draw(0, 10, 3)),
        t=draw(0, 0.1, 3).astype(np.float32),
        scale=float(1.3 + 0.1 * draw()),
    )


def drive(source: Motion, first: Motion, now: Motion, style: DriveStyle, *, filmed: bool = False) -> Motion:
    return move_source(source, first, now, target_motion(source, first, now, style), style, filmed=filmed)


def whole_pass(values: Array) -> Array:
    """Kalman and Rauch-Tung-Striebel over everything at once: the textbook form, as an independent check."""
    x, p = values[0].astype(np.float64), 1.0
    filtered, variances = [], []
    for index, seen in enumerate(values):
        p = p + PROCESS_VARIANCE if index else 1.0
        gain = p / (p + OBSERVATION_VARIANCE)
        x, p = x + gain * (seen - x), (1 - gain) * p
        filtered.append(x)
        variances.append(p)
    for index in range(len(values) - 2, -1, -1):
        back = variances[index] / (variances[index] + PROCESS_VARIANCE)
        filtered[index] = filtered[index] + back * (filtered[index + 1] - filtered[index])
    return np.array(filtered, np.float32)


def test_the_first_driving_frame_leaves_a_photo_as_it_is() -> None:
    source, first = some_motion(1), some_motion(2)
    np.testing.assert_allclose(
        drive(source, first, first, DriveStyle()).keypoints(), source.keypoints(), atol=1e-6
    )


def test_only_the_chosen_region_moves() -> None:
    source, first, now = some_motion(1), some_motion(2), some_motion(3)
    lips = drive(source, first, now, DriveStyle("lip"))
    changed = np.flatnonzero((lips.exp != source.exp).any(axis=1)).tolist()
    assert changed == [6, 12, 14, 17, 19, 20]
    assert (lips.rotation == source.rotation).all()
    pose = drive(source, first, now, DriveStyle("pose"))
    assert (pose.exp == source.exp).all()
    assert not np.allclose(pose.rotation, source.rotation)


def test_a_filmed_source_keeps_its_place_and_size() -> None:
    source, first, now = some_motion(1), some_motion(2), some_motion(3)
    filmed = drive(source, first, now, DriveStyle(), filmed=True)
    assert filmed.scale == source.scale
    assert (filmed.t == source.t).all()
    assert (filmed.exp[0] == source.exp[0]).all(), "the keypoint that is not replaced"


def test_smoothing_a_stream_is_smoothing_the_whole() -> None:
    values = np.random.default_rng(5).normal(0, 0.02, (60, 7)).astype(np.float32)
    streamed = [values_ for _, values_ in smooth(zip(range(60), values, strict=True))]
    np.testing.assert_allclose(streamed, whole_pass(values), atol=1e-8)


def test_smoothing_looks_only_a_few_frames_ahead() -> None:
    pulled: list[int] = []

    def frames() -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
        for index in range(30):
            pulled.append(index)
            yield index, np.zeros(3)

    steps = smooth(frames())
    assert next(steps)[0] == 0
    assert len(pulled) == LAG + 1


@pytest.mark.parametrize(
    ("angles", "toward"), [((0, 20, 0), (-1, 0)), ((0, -20, 0), (1, 0)), ((20, 0, 0), (0, 1))]
)
def test_a_turn_moves_the_nose(angles: tuple[float, float, float], toward: tuple[int, int]) -> None:
    nose = np.array([[0, 0, -1]], np.float32) @ rotation_of(*angles)
    assert np.sign(np.round(nose[0, :2], 6)).tolist() == list(toward)


def test_degrees_are_three_to_a_bin_around_zero() -> None:
    sure = np.full((1, 66), -50, np.float32)
    sure[0, 40] = 50
    assert degrees_of(sure)[0] == pytest.approx(40 * 3 - 97.5)
    assert degrees_of(np.zeros((1, 66), np.float32))[0] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("known", [False, True])
def test_a_driving_picture_changes_the_expression_by_what_is_not_at_rest(known: bool) -> None:
    openings = Openings(np.zeros(2, np.float32), 0.0)
    source = SourceFace(some_motion(1), openings, np.eye(3)[:2])
    face = DrivingFace(some_motion(2), openings)
    rest = some_motion(3).exp if known else None
    (pose,) = still_poses(source, [face], Manner(shut_lips=False), rest_motion(face, rest))
    change = face.motion.exp - (rest if rest is not None else 0)
    target_motion = replace(source.motion, exp=source.motion.exp + change).keypoints()
    np.testing.assert_allclose(pose.driven, target_motion, atol=1e-6)
    both = [(source, face)] * 3
    filmed = [pose for _, pose in video_poses(iter(both), Manner(shut_lips=False), rest_motion(face, rest))]
    assert len(filmed) == 3
    np.testing.assert_array_equal(filmed[0].driven, filmed[2].driven)


def test_a_neutral_drive_changes_nothing() -> None:
    source = some_motion(4)
    still = drive(source, neutral(), neutral(), DriveStyle())
    np.testing.assert_allclose(still.keypoints(), source.keypoints(), atol=1e-6)
