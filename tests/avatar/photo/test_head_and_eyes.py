"""Head field and eyes: nothing folds, nothing tears, the background stays, lids shut and open again."""

from collections.abc import Callable

import numpy as np
import pytest
from avatar.engines.mesh import PhotoEngine
from avatar.engines.mesh.eyes import EyePose, lid_skin
from avatar.engines.mesh.head import HeadField
from avatar.engines.mesh.stage import Stage

Pose = Callable[..., dict[str, float]]


@pytest.fixture(scope="module")
def head(mesh_stage: Stage) -> HeadField:
    height, width = mesh_stage.pixels.shape[:2]
    return HeadField(mesh_stage.points, mesh_stage.mask, (width, height))


def min_jacobian(head: HeadField, channels: dict[str, float]) -> float:
    """The smallest local change of area, source over output: at 0 the picture would fold."""
    where = head.backward(channels)
    across = np.gradient(where, head.step, axis=1)
    down = np.gradient(where, head.step, axis=0)
    return float((across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]).min())


@pytest.mark.parametrize(
    "motion",
    [
        {"yaw_deg": 8.0}, {"yaw_deg": -8.0}, {"pitch_deg": 4.0}, {"pitch_deg": -4.0}, {"roll_deg": 3.0},
        {"roll_deg": -3.0}, {"sway": 1.0}, {"sway": -1.0, "breath": 1.0}, {"brow": 1.0}, {"brow": -0.5},
        {"yaw_deg": 4.0, "pitch_deg": 2.2, "roll_deg": 1.8, "sway": 0.5, "breath": 1.0},
    ],
    ids=str,
)  # fmt: skip
def test_the_field_never_comes_near_to_folding(head: HeadField, pose: Pose, motion: dict[str, float]) -> None:
    assert min_jacobian(head, pose(**motion)) > 0.5


def test_a_still_head_leaves_every_pixel(head: HeadField, mesh_stage: Stage, pose: Pose) -> None:
    moved = head.move(mesh_stage.pixels, pose(), mesh_stage.pixels)
    assert np.array_equal(moved, head.area.of(mesh_stage.pixels))


def test_a_turn_to_the_right_moves_the_nose_right_and_the_background_not(
    head: HeadField, mesh_stage: Stage, pose: Pose
) -> None:
    nose = mesh_stage.points[1, :2]
    column, row = (int(value / head.step) for value in nose)
    where = head.backward(pose(yaw_deg=6.0))
    still = head.backward(pose())
    assert where[row, column, 0] < still[row, column, 0] - 1
    assert np.abs(where - still)[:, :3].max() < 0.02


def test_looking_down_moves_the_nose_down(head: HeadField, mesh_stage: Stage, pose: Pose) -> None:
    column, row = (int(value / head.step) for value in mesh_stage.points[1, :2])
    assert head.backward(pose(pitch_deg=4.0))[row, column, 1] < head.backward(pose())[row, column, 1] - 0.5


def test_the_picture_has_no_seam_where_motion_ends(head: HeadField, mesh_stage: Stage, pose: Pose) -> None:
    turned = pose(yaw_deg=5.0, roll_deg=2.0, sway=1.0, breath=1.0)
    moved = head.move(mesh_stage.pixels, turned, mesh_stage.pixels)
    source = head.area.of(mesh_stage.pixels)
    border = np.abs(moved.astype(int) - source)
    # The outermost columns of the moving area lie in the background: they must fit what is left and right.
    assert border[:, 0].max() <= 2 and border[:, -1].max() <= 2


def test_open_eyes_looking_ahead_are_those_of_the_photo(engine: PhotoEngine, mesh_stage: Stage) -> None:
    for eye in engine.eyes:
        assert np.array_equal(eye.draw(EyePose()), eye.region.of(mesh_stage.pixels))


def test_a_shut_eye_hides_the_iris(engine: PhotoEngine, mesh_stage: Stage) -> None:
    for eye, iris in zip(engine.eyes, (468, 473), strict=True):
        x, y = (mesh_stage.points[iris, :2] - [eye.region.x, eye.region.y]).astype(int)
        around = np.s_[y - 1 : y + 2, x - 1 : x + 2]
        assert (
            eye.draw(EyePose(blink=1)).astype(float)[around].mean() > eye.draw(EyePose())[around].mean() + 40
        )


def test_wrinkles_under_an_eye_are_not_mirrored_on_its_lid() -> None:
    """Dark lines every seven rows of the cheek would be the rings of a tree on the shut lid."""
    patch = np.full((120, 160, 3), (150, 170, 200), np.uint8)
    patch[75::7] = (90, 110, 140)
    upper, lower = np.full(160, 40, np.float32), np.full(160, 65, np.float32)
    hidden = np.zeros((120, 160), np.float32)
    hidden[35:66] = 1
    lid = lid_skin(patch, upper, lower, hidden, 300.0)[44:62, 20:140].astype(float)
    assert np.abs(np.diff(lid, axis=0)).max() < 6


def test_the_eye_shuts_step_by_step(engine: PhotoEngine) -> None:
    eye = engine.eyes[0]
    shut = eye.draw(EyePose(blink=1)).astype(float)
    away = [np.abs(eye.draw(EyePose(blink=b)) - shut).mean() for b in (0, 0.25, 0.5, 0.75, 1)]
    assert away == sorted(away, reverse=True)


def test_a_glance_moves_the_iris_and_not_the_lids(engine: PhotoEngine, mesh_stage: Stage) -> None:
    eye = engine.eyes[0]
    ahead, aside = eye.draw(EyePose()), eye.draw(EyePose(gaze_x=1))
    x = np.arange(ahead.shape[1])

    def dark_centre(patch: np.ndarray) -> float:
        y = int(mesh_stage.points[468, 1]) - eye.region.y
        dark = 255 - patch[y - 1 : y + 2].astype(float).mean(axis=(0, 2))
        return float((dark**4 * x).sum() / (dark**4).sum())

    assert dark_centre(aside) > dark_centre(ahead) + 0.5
    assert np.array_equal(aside[:3], ahead[:3])
