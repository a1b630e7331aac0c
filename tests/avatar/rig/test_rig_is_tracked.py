"""Face Mesh sees in the drawn faces what the track asked for (encoded videos: tests/avatar/sync)."""

from collections.abc import Iterator

import numpy as np
import pytest
from avatar.engines.rig import RigEngine, open_rig
from avatar.engines.rig.characters import NAMES
from avatar.engines.rig.pose import Pose
from avatar.errors import Unavailable
from avatar.face.tracker import FaceTracker, open_tracker
from avatar.tracks import ControlTrack

SIZE = (640, 360)
OUTER_EYES = (33, 263)


@pytest.fixture(scope="module")
def tracker() -> Iterator[FaceTracker]:
    try:
        opened = open_tracker(max_faces=1)
    except Unavailable as missing:
        pytest.skip(f"{missing}; install the `face` extra (Python 3.12 or older) to run this")
    yield opened
    opened.close()


def track_points(engine: RigEngine, pose: Pose, tracker: FaceTracker) -> np.ndarray:
    """Face Mesh's points (478, 2) on the one face in the picture."""
    assert engine.base is not None
    picture = engine.base.copy()
    layer = engine.draw(pose)
    height, width = layer.pixels.shape[:2]
    picture[layer.y : layer.y + height, layer.x : layer.x + width] = layer.pixels
    faces = tracker.track(picture)
    assert len(faces) == 1
    return np.asarray(faces[0].points)[:, :2]


@pytest.mark.parametrize("name", NAMES)
def test_the_tracked_eyes_mouth_and_turn_follow_the_channels(
    name: str, lively: ControlTrack, tracker: FaceTracker
) -> None:
    engine = open_rig(name, SIZE, 25, False)
    lids, widths, turns, expected = [], [], [], []
    for index, item in enumerate(engine.items(lively)):
        if index % 2:
            continue
        points = track_points(engine, item, tracker)

        def between(a: int, b: int, points: np.ndarray = points) -> float:
            return float(np.linalg.norm(points[a] - points[b]))

        size = between(*OUTER_EYES)
        lids.append(between(159, 145) + between(386, 374))
        widths.append(between(61, 291) / size)
        left, right = points[list(OUTER_EYES)]
        # How far the nose's tip lies beside the middle of the eyes, along the line of the eyes.
        turns.append(float((points[1] - (left + right) / 2) @ (right - left)) / size**2)
        expected.append([item[channel] for channel in ("blink", "wide", "yaw_deg")])
    blink, wide, yaw = np.array(expected).T
    assert np.corrcoef(lids, -blink)[0, 1] > 0.85
    assert np.corrcoef(widths, wide)[0, 1] > 0.85
    assert np.corrcoef(turns, yaw)[0, 1] > 0.60


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wide", [-0.8, -0.4, 0.0, 0.5])
def test_closed_lips_are_seen_closed_however_they_are_rounded(
    name: str, wide: float, tracker: FaceTracker, pose
) -> None:
    engine = open_rig(name, SIZE, 25, False)

    def gap(jaw: float) -> float:
        """Of the lips, by the width of the eyes: the median of five turns, because single readings of pouted
        lips scatter from 0.003 to 0.026 within a degree.
        """
        readings = []
        for yaw in (1.0, 1.5, 2.0, 2.5, 3.0):
            turned = pose(wide=wide, jaw=jaw, yaw_deg=yaw, roll_deg=-yaw / 2)
            points = track_points(engine, turned, tracker)
            gaps = [np.linalg.norm(points[a] - points[b]) for a, b in ((13, 14), (82, 87), (312, 317))]
            readings.append(np.mean(gaps) / np.linalg.norm(points[OUTER_EYES[0]] - points[OUTER_EYES[1]]))
        return float(np.median(readings))

    assert gap(jaw=0.0) < 0.020 < gap(jaw=0.2)
