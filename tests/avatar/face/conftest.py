"""Real faces from installed packages, and one tracker for all tests of this folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from avatar.face.tracker import FaceTracker, open_tracker

sys.path.insert(0, str(Path(__file__).parent))


def photo(name: str) -> np.ndarray:
    """A test photo, BGR. Imported late: reading pictures is tested where MediaPipe is missing, too."""
    pytest.importorskip("mediapipe", reason="needs the `face` extra: Python 3.11 or 3.12")
    from clipmaker.person import photo as read

    return np.ascontiguousarray(read(name))


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """512 x 512 BGR; one face 92 px wide, smiling with teeth."""
    return photo("astronaut")


@pytest.fixture(scope="session")
def hopper() -> np.ndarray:
    """600 x 512 BGR; one face 183 px wide, closed lips, glasses."""
    return photo("grace_hopper")


@pytest.fixture(scope="session")
def tracker() -> Iterator[FaceTracker]:
    pytest.importorskip("mediapipe", reason="needs the `face` extra: Python 3.11 or 3.12")
    opened = open_tracker(max_faces=32)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def crowd(astronaut: np.ndarray) -> np.ndarray:
    """Twenty faces in four rows; the third of the second row is the largest."""
    face = astronaut[30:230, 120:330]
    picture = np.full((800, 1050, 3), 190, np.uint8)
    for number in range(20):
        row, column = divmod(number, 5)
        scale = 1.0 if (row, column) == (1, 2) else 0.8
        size = (round(face.shape[1] * scale), round(face.shape[0] * scale))
        small = cv2.resize(face, size, interpolation=cv2.INTER_AREA)
        picture[row * 200 : row * 200 + size[1], column * 210 : column * 210 + size[0]] = small
    return picture
