"""Every step of ours from a picture to a finished frame against the original's figures, with crops of 512
pixels and its own mask; `bench/parity/liveportrait.py --write` keeps them.
"""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np
import pytest
from liveportrait_cases import FIGURES, STEP_SIZES
from seeded import Array, figures, largest_error

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

import liveportrait_steps as steps  # noqa: E402
from avatar.engines.liveportrait.paste import cut, shrunk, soft_mask  # noqa: E402
from liveportrait_levels import assert_levels  # noqa: E402
from liveportrait_steps import CROP_PX, PLACES, RUNS  # noqa: E402
from liveportrait_whole import Pixels, paste_onto, place_back  # noqa: E402

SAME = 1e-5
"""Of what is the same but for the last bit of a float32."""
PER_MODULE = 1e-4
DRAWN = 3e-4
"""Of all networks one after the other."""
END_TO_END = 1e-3
PLACE_PX = 1e-2
"""Pixels of the crop, at the corners of the picture."""
SIDE_PX = STEP_SIZES.picture_px


@cache
def _load_figures() -> dict[str, Array]:
    with np.load(FIGURES) as file:
        return {name: file[name] for name in file.files if name.startswith("steps.")}


def assert_close(name: str, ours: object, most: float) -> None:
    error = largest_error(figures(np.asarray(ours, np.float32)), _load_figures()[name])
    assert error <= most, f"{name} is {error:.1e} away from the original"


def apart(ours: Array, theirs: Array) -> Array:
    """In root mean squares of theirs."""
    return np.asarray(np.abs(ours - theirs) / np.sqrt(np.mean(np.square(theirs, dtype=np.float64))))


def test_the_mask_is_the_published_one() -> None:
    ours = soft_mask(CROP_PX)
    assert np.array_equal(ours.sum(axis=1), _load_figures()["steps.mask.rows"])
    assert zlib.crc32(ours.tobytes()) == _load_figures()["steps.mask.sum"][0]


def test_faces_lie_where_the_original_has_them() -> None:
    """It reckons in float32, and takes the angle from a cosine."""
    for index in range(len(PLACES)):
        assert (
            steps.corners_apart(steps.our_place(index), _load_figures()["steps.places"][index]) < PLACE_PX
        ), index
    driving = steps.our_film(RUNS["photo"].driving).frame.matrix(CROP_PX)
    assert steps.corners_apart(driving, _load_figures()["steps.driving place"]) < PLACE_PX / 100


def crops(kind: str, places: list[steps.Matrix]) -> tuple[Array, Pixels, Pixels]:
    """Before they are cut to levels, in levels, and as the networks take them."""
    pictures = [steps.picture(index, kind) for index in range(len(places))]
    pairs = list(zip(pictures, places, strict=True))
    whole = np.stack([cut(picture, place, CROP_PX) for picture, place in pairs])
    before = np.stack([cut(picture.astype(np.float32), place, CROP_PX) for picture, place in pairs])
    return before, whole, np.stack([shrunk(crop, SIDE_PX) for crop in whole])


@pytest.mark.parametrize("kind", steps.KINDS)
def test_crops_of_its_places_are_its_crops(kind: str) -> None:
    before, whole, small = crops(kind, list(_load_figures()["steps.places"].astype(np.float64)))
    assert_close(f"steps.crop.{kind}", before, SAME)
    assert_close(f"steps.crop.{kind}.levels", whole, SAME)
    assert_close(f"steps.crop.{kind}.shrunk", small, SAME)


@pytest.mark.parametrize(("kind", "above", "mean"), [("grain", 1e-2, 5e-4), ("plain", 5e-4, 1e-3)])
def test_our_own_places_change_crops_by_single_steps_of_opencv(kind: str, above: float, mean: float) -> None:
    """It looks a pixel up at 1/32 of a pixel: where a place is at the border of two such steps, the last bits
    of the matrix decide, and of a hard edge that is up to 7 levels.
    """
    theirs = crops(kind, list(_load_figures()["steps.places"].astype(np.float64)))
    ours = crops(kind, [steps.our_place(index) for index in range(len(PLACES))])
    error = apart(ours[0], theirs[0])
    assert (error > END_TO_END).mean() <= above
    assert np.sqrt(np.mean(error**2)) <= mean
    for mine, original, most in zip(ours[1:], theirs[1:], (8, 4), strict=True):
        levels = np.abs(mine.astype(int) - original)
        assert (levels > 0).mean() <= 4e-3
        assert levels.max() <= most


@pytest.mark.parametrize("kind", steps.KINDS)
def test_driving_crops_are_the_originals(kind: str) -> None:
    """Our own place gives them too: no turn is taken from a cosine."""
    numbers = RUNS["photo"].driving
    for place in (_load_figures()["steps.driving place"], steps.our_film(numbers).frame.matrix(CROP_PX)):
        matrix = place.astype(np.float64)
        pictures = [steps.picture(number, kind) for number in numbers]
        before = np.stack([cut(picture.astype(np.float32), matrix, CROP_PX) for picture in pictures])
        assert_close(f"steps.driving.{kind}", before, END_TO_END)
        small = np.stack([shrunk(cut(picture, matrix, CROP_PX), SIDE_PX) for picture in pictures])
        assert_close(f"steps.driving.{kind}.shrunk", small, END_TO_END)


def paste_all(places: list[steps.Matrix]) -> Array:
    face = steps.face()
    return np.stack(
        [paste_onto(steps.picture(index), face, place) for index, place in enumerate(places)],
        dtype=np.float32,
    )


def test_a_face_is_laid_back_as_by_the_original() -> None:
    """By its way back, which it has of a float32 matrix, before the cut to levels and after; by our own,
    which is reckoned in float64, but for single steps of OpenCV.
    """
    theirs = paste_all([place_back(back) for back in _load_figures()["steps.ways back"]])
    assert_close("steps.laid back", theirs, SAME)
    assert_close("steps.laid back.levels", np.floor(theirs), SAME)
    error = apart(paste_all([steps.our_place(index) for index in range(len(PLACES))]), theirs)
    assert (error > END_TO_END).mean() <= 2e-3
    assert np.sqrt(np.mean(error**2)) <= 4e-4


@pytest.mark.parametrize("name", RUNS)
def test_the_engine_draws_from_pictures_to_finished_frames_what_the_original_draws(name: str) -> None:
    """By the original's places: our own are held by the steps before. Finished frames are held twice: of
    drawn faces and frames whose fractions are cut off, as the original does it; and the engine's own, which
    it rounds, to those of the original with both cuts made roundings.
    """
    torch.set_num_threads(2)
    run, figures = RUNS[name], _load_figures()
    ours = steps.ours(
        run, steps.networks_of_seed(), figures[f"steps.{name}.sources"], figures[f"steps.{name}.driving"]
    )
    assert_close(f"steps.{name}.keypoints", ours.keypoints, PER_MODULE)
    assert_close(f"steps.{name}.made", ours.rendered, DRAWN)
    backs = [place_back(back) for back in figures[f"steps.{name}.backs"]]
    assert_levels(
        steps.paste_as_cut(run, ours.rendered, backs), figures[f"steps.{name}.before"], END_TO_END, most=2
    )
    assert_levels(ours.frames.astype(np.float32), figures[f"steps.{name}.rounded"], END_TO_END, most=7)
