"""Face tracking and background removal: right on photos, quiet, and honest where MediaPipe is missing."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from avatar.errors import InvalidInput
from avatar.face.landmarks import CHIN, FOREHEAD_TOP, LEFT_IRIS, RIGHT_IRIS, UPPER_INNER_LIP
from avatar.face.search import find_faces
from avatar.face.segment import open_segmenter
from avatar.face.tracker import FaceTracker


def test_landmarks_lie_on_the_face_in_pixels(astronaut: np.ndarray, tracker: FaceTracker) -> None:
    (face,) = tracker.track(astronaut)
    assert face.points.shape == (478, 3) and face.points.dtype == np.float32
    left, top, right, bottom = face.box
    assert 170 < left < 190 and 265 < right < 280 and 60 < top < 80 and 170 < bottom < 185
    assert face.points[FOREHEAD_TOP, 1] < face.points[LEFT_IRIS[0], 1] < face.points[CHIN, 1]
    assert face.points[LEFT_IRIS[0], 0] < face.points[RIGHT_IRIS[0], 0]
    assert 0.5 < face.score <= 1 and 55 < face.eye_distance_px < 66


def test_rows_of_landmarks_run_from_left_to_right(hopper: np.ndarray, tracker: FaceTracker) -> None:
    (face,) = tracker.track(hopper)
    assert (np.diff(face.points[list(UPPER_INNER_LIP), 0]) > 0).all()


def test_a_picture_stands_alone(astronaut: np.ndarray, tracker: FaceTracker) -> None:
    first = tracker.track(astronaut)[0].points
    assert tracker.track(np.zeros_like(astronaut)) == []
    assert np.array_equal(tracker.track(astronaut)[0].points, first)


def test_the_largest_face_comes_first(astronaut: np.ndarray, tracker: FaceTracker) -> None:
    face = astronaut[30:230, 120:330]
    small = cv2.resize(face, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    both = np.full((200, 420, 3), 190, np.uint8)
    both[40 : 40 + small.shape[0], 20 : 20 + small.shape[1]] = small
    both[:, 210:] = face
    found = tracker.track(both)
    assert len(found) == 2 and found[0].area_px > found[1].area_px
    assert found[0].box[0] > 210


def test_shifting_and_scaling_a_face_moves_its_points(astronaut: np.ndarray, tracker: FaceTracker) -> None:
    (face,) = tracker.track(astronaut)
    moved = face.scale(2.0).shift(10, -5)
    assert moved.points[0] == pytest.approx(face.points[0] * 2 + [10, -5, 0], abs=1e-3)
    assert moved.eye_distance_px == pytest.approx(2 * face.eye_distance_px, rel=1e-5)


@pytest.mark.parametrize("side", [1, 2, 7])
def test_a_picture_of_a_few_pixels_has_no_face(tracker: FaceTracker, side: int) -> None:
    assert find_faces(np.full((side, side, 3), 90, np.uint8), tracker) == []


def test_only_8_bit_colour_is_taken(tracker: FaceTracker) -> None:
    for wrong in (
        np.zeros((40, 40), np.uint8),
        np.zeros((40, 40, 4), np.uint8),
        np.zeros((40, 40, 3), np.float32),
    ):
        with pytest.raises(InvalidInput, match=r"picture\.bad_shape"):
            tracker.track(wrong)


def test_the_person_is_told_from_the_background(astronaut: np.ndarray) -> None:
    segmenter = open_segmenter()
    mask = segmenter.mask(astronaut)
    segmenter.close()
    assert mask.shape == (512, 512) and mask.dtype == np.float32
    assert mask[130, 225] > 0.95 and mask[350, 200] > 0.9
    assert mask[60, 400] < 0.05 and mask[40, 40] < 0.1
    assert mask.min() >= 0 and mask.max() <= 1


_USE = """
import logging, sys
import numpy as np
from avatar.face.segment import open_segmenter
from avatar.face.tracker import open_tracker
from clipmaker.person import photo
picture = np.ascontiguousarray(photo("grace_hopper"))
tracker, segmenter = open_tracker(), open_segmenter()
for image in (np.zeros_like(picture), picture[:, :400], picture):
    tracker.track(np.ascontiguousarray(image)); segmenter.mask(np.ascontiguousarray(image))
tracker.close(); segmenter.close()
print("ours", file=sys.stderr)
"""


def test_native_log_lines_stay_off_the_terminal() -> None:
    pytest.importorskip("mediapipe", reason="needs the `face` extra: Python 3.11 or 3.12")
    clipmaker = pytest.importorskip("clipmaker")
    environment = os.environ | {"PYTHONPATH": str(Path(clipmaker.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", _USE], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "ours\n"
    assert done.stdout == ""


def test_without_mediapipe_the_error_says_what_to_do() -> None:
    script = """
import sys
sys.modules["mediapipe"] = None
from avatar.errors import Unavailable
from avatar.face.segment import open_segmenter
from avatar.face.tracker import open_tracker
for door in (open_tracker, open_segmenter):
    try:
        door()
    except Unavailable as error:
        print(error.code, "|", error.hint)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and all(
        line.startswith("face.unavailable | Install the `face` extra") for line in lines
    )
