"""Cheeks and chin take light and shade with the mouth; where nothing speaks, the photo is untouched."""

import cv2
import numpy as np
import pytest
from avatar.engines.mesh.mouth import MouthModel
from avatar.engines.mesh.mouth_fields import MouthPose
from avatar.engines.mesh.photo import CheekShade
from avatar.engines.mesh.stage import Stage

POSES = {
    "jaw": MouthPose(jaw=1.0),
    "spread": MouthPose(jaw=0.1, wide=1.0),
    "pouted": MouthPose(jaw=0.1, wide=-1.0),
}


@pytest.fixture(scope="module")
def mouth(mesh_stage: Stage) -> MouthModel:
    return MouthModel.from_landmarks(mesh_stage.pixels, mesh_stage.points)


@pytest.fixture(scope="module")
def cheeks(mouth: MouthModel) -> CheekShade:
    return CheekShade(mouth.shape, mouth.region, mouth.top_v)


def factors(mouth: MouthModel, cheeks: CheekShade, pose: MouthPose) -> np.ndarray:
    """Returns the factor of each pixel of the region."""
    even = np.full((mouth.region.height, mouth.region.width, 3), 200, np.uint8)
    return cheeks.paint(even, pose)[..., 0] / 200


def at(mouth: MouthModel, factor: np.ndarray, u: float, v: float) -> float:
    x, y = mouth.shape.axes.to_pixels(np.array([mouth.shape.centre + u, v], np.float32))
    return float(factor[round(y) - mouth.region.y, round(x) - mouth.region.x])


def test_a_mouth_at_rest_changes_no_pixel(mouth: MouthModel, cheeks: CheekShade) -> None:
    patch = mouth.draw(MouthPose())
    assert np.array_equal(cheeks.paint(patch, MouthPose()), patch)


@pytest.mark.parametrize("name", POSES)
def test_the_border_of_the_region_keeps_its_light(mouth: MouthModel, cheeks: CheekShade, name: str) -> None:
    factor = factors(mouth, cheeks, POSES[name])
    assert 0.04 < np.abs(factor - 1).max() < 0.2, "seen, and no stain"
    for border in (factor[:2], factor[-2:], factor[:, :2], factor[:, -2:]):
        assert np.abs(border - 1).max() < 0.006


def test_a_dropping_jaw_hollows_the_cheeks_and_spread_lips_fill_them(
    mouth: MouthModel, cheeks: CheekShade
) -> None:
    beside, above = mouth.shape.half_width + 0.18, mouth.shape.half_width + 0.2
    dropped, spread = (factors(mouth, cheeks, POSES[name]) for name in ("jaw", "spread"))
    for side in (-1, 1):
        assert at(mouth, dropped, side * beside, 0.12) < 0.95
        assert at(mouth, spread, side * above, -0.2) > 1.01
    assert at(mouth, factors(mouth, cheeks, POSES["pouted"]), beside, 0.06) < 0.98


def test_lips_keep_their_own_light(mouth: MouthModel, cheeks: CheekShade) -> None:
    for pose in POSES.values():
        assert at(mouth, factors(mouth, cheeks, pose), 0.0, 0.0) == pytest.approx(1, abs=0.006)


def test_shades_have_no_steps(mouth: MouthModel, cheeks: CheekShade) -> None:
    for pose in POSES.values():
        factor = cv2.blur(factors(mouth, cheeks, pose), (3, 3))
        assert max(np.abs(np.diff(factor, axis=axis)).max() for axis in (0, 1)) < 0.02
