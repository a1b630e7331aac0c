"""The cut around a face: hair stays in, nobody floats, missing sides are filled softly, folds soften."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from avatar.engines.mesh.lips import MouthShape
from avatar.engines.mesh.photo import cut_out, soften_folds
from avatar.engines.mesh.stage import Stage, set_stage
from avatar.face.landmarks import CHIN, FOREHEAD_TOP
from avatar.face.pictures import read_picture
from avatar.face.portrait import Portrait
from golden_poses import FIXTURES

SIZES = [(640, 360), (360, 640), (400, 400), (1280, 720)]


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return read_picture(FIXTURES / "drawn.png")


def narrow(portrait: Portrait, photo: np.ndarray, left: int, right: int) -> tuple[np.ndarray, Portrait]:
    """The picture and its portrait with columns cut away on both sides."""
    mask = cv2.resize(portrait.mask, (portrait.width, portrait.height))[:, left:right]
    face = portrait.face.shift(-left, 0)
    return photo[:, left:right].copy(), replace(portrait, width=right - left, face=face, mask=mask)


@pytest.mark.parametrize("size", SIZES)
def test_the_whole_head_is_in_the_frame(
    photo: np.ndarray, mesh_portrait: Portrait, size: tuple[int, int]
) -> None:
    stage = set_stage(photo, mesh_portrait, size)
    assert stage.pixels.shape == (size[1], size[0], 3) and stage.mask.shape == (size[1], size[0])
    p = stage.points
    face = p[CHIN, 1] - p[FOREHEAD_TOP, 1]
    assert p[:, 0].min() > 0 and p[:, 0].max() < size[0]
    assert 0.25 * size[1] < face < 0.55 * size[1]
    assert stage.mask[:2, size[0] // 3 : -size[0] // 3].max() < 0.5  # there is air over the hair


def test_a_person_reaches_down_to_the_edge(photo: np.ndarray, mesh_portrait: Portrait) -> None:
    for size in SIZES:
        stage = set_stage(photo, mesh_portrait, size)
        assert stage.mask[-1, int(stage.points[CHIN, 0])] > 0.9


def test_landmarks_stay_on_the_face(photo: np.ndarray, mesh_portrait: Portrait, mesh_stage: Stage) -> None:
    iris = mesh_stage.points[[468, 473], :2].round().astype(int)
    for x, y in iris:
        assert mesh_stage.pixels[y - 1 : y + 2, x - 1 : x + 2].mean() < 90
    ratio = np.ptp(mesh_stage.points, axis=0) / np.ptp(mesh_portrait.face.points, axis=0)
    assert np.allclose(ratio, ratio[0], rtol=1e-4)


def test_a_narrow_photo_is_continued_softly_at_its_sides(photo: np.ndarray, mesh_portrait: Portrait) -> None:
    picture, portrait = narrow(mesh_portrait, photo, 130, 350)
    stage = set_stage(picture, portrait, (640, 360))
    grey = stage.pixels.astype(float).mean(axis=2)
    steps = np.abs(np.diff(grey[20:200], axis=1)).mean(axis=0)
    assert steps[:100].max() < 6  # no hard line where the photo begins
    assert grey[:, :40].mean() > 10  # and no black bar
    assert stage.mask[:, 0].max() == 0


def test_a_cut_out_has_the_colours_of_the_person_at_its_rim(mesh_stage: Stage) -> None:
    green = replace(mesh_stage, pixels=mesh_stage.pixels.copy())
    green.pixels[mesh_stage.mask < 0.5] = (0, 255, 0)
    person = cut_out(green)
    rim = (person[..., 3] > 60) & (person[..., 3] < 250)
    colour = person[rim][:, :3].astype(float)
    before = green.pixels[rim].astype(float)

    def greenness(bgr: np.ndarray) -> float:
        return float((bgr[:, 1] - bgr[:, [0, 2]].max(axis=1)).clip(0).mean())

    assert rim.sum() > 100 and greenness(colour) < 0.5 * greenness(before)


def test_softened_folds_are_lighter_and_lips_are_left_alone(mesh_stage: Stage) -> None:
    shape = MouthShape.of(mesh_stage.points)
    axes = shape.axes
    x, y = axes.to_pixels(np.array([shape.half_width + 0.15, -0.12], np.float32)).astype(int)
    marked = mesh_stage.pixels.copy()
    cv2.line(marked, (x, y - 12), (x + 4, y + 12), (20, 20, 60), 2)
    softened = soften_folds(marked, shape, 0.8)
    changed = softened.astype(int) - marked
    assert changed.min() >= 0 and changed[y - 8 : y + 8, x - 4 : x + 8].max() > 40
    left, right = (int(v) for v in axes.to_pixels(np.array([[-0.2, 0], [0.2, 0]], np.float32))[:, 0])
    assert changed[y : y + 20, left:right].max() == 0
    assert np.array_equal(soften_folds(marked, shape, 0), marked)
