"""The mouth model: it closes fully, opens as far as promised, and its patch has no seam."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from avatar.engines.mesh.mouth import MouthModel
from avatar.engines.mesh.mouth_fields import MouthPose
from avatar.engines.mesh.stage import Stage
from avatar.face.landmarks import LEFT_EYE_LOWER, RIGHT_EYE_LOWER
from avatar.tracks import aperture_e

OPEN = MouthPose(jaw=0.6, low=0.5, raise_=0.4)
POSES = {
    "open": OPEN,
    "wide": MouthPose(jaw=0.2, low=0.3, raise_=0.3, wide=0.9),
    "round": MouthPose(jaw=0.4, low=0.3, wide=-0.9),
    "tongue": MouthPose(jaw=0.3, low=0.3, tongue=0.9),
    "largest": MouthPose(jaw=1, low=1, raise_=1, wide=1),
}


@pytest.fixture(scope="module")
def mouth(mesh_stage: Stage) -> MouthModel:
    return MouthModel.from_landmarks(mesh_stage.pixels, mesh_stage.points)


def opening_e(mouth: MouthModel, pose: MouthPose) -> float:
    """Mean opening at the middle and at the two neighbours that the measuring uses, in E."""
    upper, lower = mouth.edges(pose)
    shape = mouth.shape
    u = (np.array([0.0, -0.45, 0.45]) * shape.half_width + shape.centre).astype(np.float32)
    at = shape.axes.to_pixels(np.stack([u, shape.upper(u)], axis=-1))[:, 0] - mouth.region.x
    gaps = np.interp(at, np.arange(len(upper)), lower - upper)
    return float(gaps.mean()) / shape.axes.unit_px


def hole_px(mouth: MouthModel, pose: MouthPose) -> float:
    """Area of the opening in pixels; 0 when shut."""
    upper, lower = mouth.edges(pose)
    return float(np.sum(np.where(lower - upper > 0.75, lower - upper, 0)))


@pytest.mark.parametrize("wide", [-1.0, 0.0, 1.0])
def test_a_mouth_at_rest_has_no_hole(mouth: MouthModel, wide: float) -> None:
    assert hole_px(mouth, MouthPose(wide=wide)) == 0
    assert hole_px(mouth, MouthPose(jaw=0.6, low=0.3, raise_=0.4, press=1.0, wide=wide)) == 0


@pytest.mark.parametrize(
    "jaw, low, raise_", [(0.2, 0.1, 0.1), (0.5, 0.4, 0.3), (0.9, 0.6, 0.2), (0, 0.5, 1.0)]
)
def test_the_opening_is_the_promised_one(mouth: MouthModel, jaw: float, low: float, raise_: float) -> None:
    expected = float(aperture_e(*(np.array([x], np.float32) for x in (jaw, low, raise_)))[0])
    assert opening_e(mouth, MouthPose(jaw, low, raise_)) == pytest.approx(expected, rel=0.08, abs=0.004)


def test_the_hole_grows_with_the_jaw(mouth: MouthModel) -> None:
    holes = [hole_px(mouth, MouthPose(jaw=jaw)) for jaw in (0.1, 0.3, 0.6, 1.0)]
    assert holes == sorted(holes) and holes[0] > 0


def test_rounded_lips_are_narrower_than_spread_ones(mouth: MouthModel) -> None:
    def width(wide: float) -> int:
        upper, lower = mouth.edges(MouthPose(jaw=0.4, wide=wide))
        return int(np.count_nonzero(lower - upper > 0.5))

    assert width(-1.0) < 0.85 * width(0.0) < 0.85 * width(1.0)


@pytest.mark.parametrize("pose", POSES.values(), ids=POSES)
def test_the_patch_equals_the_picture_along_its_border(
    mouth: MouthModel, mesh_stage: Stage, pose: MouthPose
) -> None:
    patch, source = mouth.draw(pose), mouth.region.of(mesh_stage.pixels)
    assert not np.array_equal(patch, source)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert np.array_equal(patch[edge], source[edge])


def test_a_shut_mouth_that_stays_shut_keeps_its_pixels(mouth: MouthModel, mesh_stage: Stage) -> None:
    change = np.abs(mouth.draw(MouthPose()).astype(int) - mouth.region.of(mesh_stage.pixels))
    assert np.percentile(change, 99) <= 12


def test_the_region_ends_below_the_eyes(mouth: MouthModel, mesh_stage: Stage) -> None:
    lids = mesh_stage.points[list(LEFT_EYE_LOWER + RIGHT_EYE_LOWER), 1]
    assert mouth.region.y > lids.max()


def test_the_interior_is_darker_than_the_lips(mouth: MouthModel) -> None:
    upper, lower = mouth.edges(OPEN)
    column = int(np.argmax(lower - upper))
    strip = mouth.draw(OPEN)[:, column].astype(float).mean(axis=1)
    inside = strip[int(upper[column]) + 3 : int(lower[column]) - 2]
    assert inside.min() < 0.5 * strip[int(upper[column]) - 4]


def test_threads_draw_the_same_picture(mouth: MouthModel) -> None:
    alone = mouth.draw(OPEN)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(alone, patch) for patch in pool.map(lambda _: mouth.draw(OPEN), range(8)))


def test_a_face_at_the_edge_of_the_picture_still_gets_a_mouth(mesh_stage: Stage) -> None:
    bottom = int(mesh_stage.points[152, 1]) + 4
    cut = mesh_stage.pixels[:bottom]
    mouth = MouthModel.from_landmarks(cut, mesh_stage.points)
    patch, source = mouth.draw(OPEN), mouth.region.of(cut)
    assert mouth.region.y + mouth.region.height <= bottom
    assert np.array_equal(patch[-1], source[-1])
