"""The drawn mouth opens by `aperture_e`: measured in pixels of the picture, not in the code's numbers."""

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from avatar.engines.rig import load_character
from avatar.engines.rig.engine import RigEngine, framing
from avatar.engines.rig.pose import Pose
from avatar.tracks import aperture_e

SIZE = (1280, 720)
RED, BLUE = "#ff0000", "#0000ff"
E_PIXELS = 100 * framing(SIZE, 0.0).scale


@cache
def open_character(name: str) -> RigEngine:
    """The character with red lips and a blue inside."""
    character = load_character(name)
    mouth = replace(
        character.mouth, upper=RED, lower=RED, line=RED, light=RED, throat=BLUE, teeth=BLUE, tongue=BLUE
    )
    return RigEngine(replace(character, mouth=mouth), SIZE, False)


def hole(name: str, pose: Pose) -> np.ndarray:
    """Returns the mask of the open mouth, bool (h, w)."""
    character = load_character(name)
    layer = open_character(name).draw(pose)
    blue, green, red = (layer.pixels[..., k].astype(int) for k in range(3))
    found = (blue > red) & (blue > 1.5 * green) & (blue > 60)
    place = framing(SIZE, character.top)
    x, y = round(place.x) - layer.x, round(place.y + character.mouth.y * place.scale) - layer.y
    around = np.zeros_like(found)
    reach = round(0.5 * E_PIXELS)
    around[y - reach // 2 : y + reach, x - reach : x + reach] = True
    return found & around


def gap_e(open_pixels: np.ndarray, offset_e: float = 0.0) -> float:
    """Height of the opening in E, in the columns around `offset_e` right of the middle."""
    if not open_pixels.any():
        return 0.0
    columns = np.flatnonzero(open_pixels.any(axis=0))
    middle = round((columns[0] + columns[-1]) / 2 + offset_e * E_PIXELS)
    return float(open_pixels[:, middle - 1 : middle + 2].sum(axis=0).mean() / E_PIXELS)


SHAPES = [
    {"jaw": jaw, "low": low, "raise_": up}
    for jaw, low, up in product((0.0, 0.3, 0.9), (0.0, 0.5), (0.0, 0.6))
    if jaw + low + up > 0
]


@pytest.mark.parametrize("name", ["nova", "milo"])
@pytest.mark.parametrize("wide", [-0.8, 0.0, 0.8])
def test_the_opening_in_the_picture_is_the_intended_one(name: str, wide: float, pose) -> None:
    for shape in SHAPES:
        expected = float(aperture_e(shape["jaw"], shape["low"], shape["raise_"]))
        drawn = hole(name, pose(wide=wide, **shape))
        assert gap_e(drawn) == pytest.approx(expected, abs=0.015), shape
        # Face Mesh looks at three pairs of points: the opening is as high beside the middle.
        aside = [gap_e(drawn, offset) for offset in (-0.06, 0.06)]
        assert np.mean(aside) > 0.75 * expected


@pytest.mark.parametrize("name", ["nova", "milo", "vera"])
@pytest.mark.parametrize("wide", [-1.0, 0.0, 1.0])
def test_closed_lips_show_nothing_of_the_inside(name: str, wide: float, pose) -> None:
    assert not hole(name, pose(wide=wide)).any()
    assert not hole(name, pose(wide=wide, tuck=1.0, tongue=1.0)).any()
    assert not hole(name, pose(jaw=0.7, low=0.3, raise_=0.4, press=1.0, wide=wide)).any()


def test_a_rounded_opening_is_small_round_and_without_teeth(pose) -> None:
    drawn = hole("nova", pose(wide=-0.95, jaw=0.2, low=0.28))
    rows, columns = (np.flatnonzero(drawn.any(axis=axis)) for axis in (1, 0))
    assert 1.0 < np.ptp(columns) / np.ptp(rows) < 2.4
    assert np.ptp(columns) < 0.25 * E_PIXELS
    character = load_character("nova")
    green = replace(character.mouth, teeth="#00ff00")
    engine = RigEngine(replace(character, mouth=green), SIZE, False)
    teeth = {}
    for wide in (-0.95, 0.3):
        pixels = engine.draw(pose(wide=wide, jaw=0.2, low=0.28)).pixels.astype(int)
        teeth[wide] = int((pixels[..., 1] > pixels[..., [0, 2]].max(axis=2) + 60).sum())
    assert teeth[-0.95] == 0 < teeth[0.3]


def test_a_wider_opening_is_a_larger_hole(pose) -> None:
    areas = [int(hole("vera", pose(jaw=jaw)).sum()) for jaw in (0.0, 0.1, 0.3, 0.6, 1.0)]
    assert areas == sorted(set(areas))


def test_the_mouth_narrows_when_rounded_and_widens_when_spread(pose) -> None:
    widths = []
    for wide in (-1.0, -0.5, 0.0, 0.5, 1.0):
        columns = np.flatnonzero(hole("nova", pose(jaw=0.4, wide=wide)).any(axis=0))
        widths.append(columns[-1] - columns[0])
    assert widths == sorted(set(widths))
    assert widths[0] < 0.65 * widths[2] < 0.65 * widths[4]


def test_the_chin_drops_with_the_jaw(pose) -> None:
    engine = RigEngine(load_character("nova"), SIZE, False)
    place = framing(SIZE, load_character("nova").top)
    shut, wide = (engine.draw(pose(jaw=jaw)) for jaw in (0.0, 1.0))
    x = round(place.x) - shut.x
    y = round(place.y + 121 * place.scale) - shut.y
    assert wide.pixels[y, x].astype(int).sum() > shut.pixels[y, x].astype(int).sum() + 60
