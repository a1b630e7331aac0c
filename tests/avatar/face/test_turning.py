"""The turn of a head by its landmarks, against heads drawn at a known pose."""

from __future__ import annotations

import numpy as np
import pytest
from avatar.face.landmarks import Points
from avatar.face.tracker import FaceTracker
from avatar.face.turning import HeadTurn, turn_of, yaw_deg
from clipmaker import load_person
from clipmaker.scene import Stage


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage(load_person("grace_hopper", 92), (640, 480))


def points(stage: Stage, tracker: FaceTracker, **pose: float) -> Points:
    return tracker.track(stage.draw(stage.person.pixels, **pose))[0].points


@pytest.mark.parametrize("degrees", [-40, -20, 20, 40])
def test_yaw_is_read(degrees: int, stage: Stage, tracker: FaceTracker) -> None:
    turn = turn_of(points(stage, tracker, yaw=degrees))
    assert turn.yaw_deg == pytest.approx(degrees, abs=9)
    assert abs(turn.pitch_deg) < 8


@pytest.mark.parametrize("degrees", [-30, -15, 0, 15, 30])
def test_pitch_is_read(degrees: int, stage: Stage, tracker: FaceTracker) -> None:
    turn = turn_of(points(stage, tracker, pitch=degrees))
    assert turn.pitch_deg == pytest.approx(degrees, abs=5)
    assert abs(turn.yaw_deg) < 5


@pytest.mark.parametrize("degrees", [-55, -25, 25, 55])
def test_a_tilted_head_is_no_turned_one(degrees: int, stage: Stage, tracker: FaceTracker) -> None:
    turn = turn_of(points(stage, tracker, roll=degrees))
    assert turn.roll_deg == pytest.approx(degrees, abs=6)
    assert abs(turn.yaw_deg) < 6


def test_the_tilt_of_a_turned_head_does_not_change_its_yaw(stage: Stage, tracker: FaceTracker) -> None:
    upright = points(stage, tracker, yaw=20)
    angle = np.radians(55)
    lean = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    tilted = upright.copy()
    tilted[:, :2] = upright[:, :2] @ lean.T
    assert float(yaw_deg(tilted)) == pytest.approx(float(yaw_deg(upright)), abs=0.1)


@pytest.mark.parametrize(
    ("turn", "shown"),
    [
        (HeadTurn(0, 0, 0), 1),
        (HeadTurn(-37, 24, 49), 1),
        (HeadTurn(46, 0, 0), 0.5),
        (HeadTurn(-55, 0, 0), 0),
        (HeadTurn(0, -37, 0), 0),
        (HeadTurn(0, 0, 63), 0),
        (HeadTurn(0, 0, 180), 0),
    ],
)
def test_what_is_turned_far_shows_no_drawn_mouth(turn: HeadTurn, shown: float) -> None:
    assert turn.shown == pytest.approx(shown, abs=1e-6)
