"""Teeth: drawn ones have the colours of the face, a person's own are laid over them, both hide when shut."""

import cv2
import numpy as np
import pytest
from avatar.engines.mesh.interior import MouthInterior
from avatar.engines.mesh.lips import MouthShape
from avatar.engines.mesh.mouth import MouthModel, smiling
from avatar.engines.mesh.mouth_fields import MouthPose
from avatar.engines.mesh.stage import Stage
from avatar.engines.mesh.teeth import Plate, composite_over, median_colour, upper_teeth


@pytest.fixture(scope="module")
def shape(mesh_stage: Stage) -> MouthShape:
    return MouthShape.of(mesh_stage.points)


def block(colour: tuple[float, float, float], half_width_e: float, per_e: float = 100) -> Plate:
    """An opaque block round (0, 0) of a plate 0.8 E wide and 0.28 E high."""
    pixels = np.zeros((int(0.28 * per_e), int(0.8 * per_e), 4), np.float32)
    middle, reach = pixels.shape[1] // 2, int(half_width_e * per_e)
    pixels[:, middle - reach : middle + reach] = (*colour, 1)
    return Plate(pixels, per_e, (0.4 * per_e, 0.2 * per_e))


def test_drawn_teeth_are_one_closed_row_darker_to_the_sides() -> None:
    plate = upper_teeth(np.array([170, 190, 200], np.float32), 200, 1.0)
    row = plate.pixels[int(plate.origin[1]) - 10]
    middle, side = int(plate.origin[0]), int(plate.origin[0] + 0.28 * 200)
    assert row[middle - 40 : middle + 40, 3].min() > 0.99
    assert row[side, :3].mean() < 0.7 * row[middle - 8, :3].mean()


def test_own_teeth_cover_the_drawn_ones_only_where_they_are() -> None:
    drawn, own = block((100, 100, 100), 0.3), block((220, 230, 240), 0.1, per_e=50)
    together = composite_over(own, drawn)
    assert together.pixels.shape == drawn.pixels.shape and together.origin == drawn.origin
    middle = together.pixels.shape[1] // 2
    row = together.pixels[together.pixels.shape[0] // 2]
    assert row[middle, :3] == pytest.approx((220, 230, 240), abs=1)
    assert row[middle + 20, :3] == pytest.approx((100, 100, 100), abs=1)
    assert row[2, 3] == 0


def test_drawn_teeth_beside_the_own_ones_hang_no_lower_than_those() -> None:
    """The own row is bent like a smile; a drawn tooth below its line would look like a second row."""
    drawn, own = block((100, 100, 100), 0.35), block((220, 230, 240), 0.15)
    height, width = own.pixels.shape[:2]
    u = (np.arange(width) - own.origin[0]) / own.per_e
    edge = own.origin[1] + (0.05 - 1.5 * u**2) * own.per_e
    own.pixels[np.arange(height)[:, None] > edge] = 0
    alpha = composite_over(own, drawn).pixels[..., 3]
    lowest = height - 1 - (alpha[::-1] > 0.5).argmax(axis=0)
    shown = np.flatnonzero((alpha > 0.5).any(axis=0))
    assert np.abs(u[shown]).max() > 0.2, "the drawn ones do go on"
    assert (lowest[shown] <= edge[shown] + 2).all()


def test_an_open_mouth_shows_a_tongue_that_goes_up_into_the_dark(mesh_stage: Stage) -> None:
    mouth = MouthModel.from_landmarks(mesh_stage.pixels, mesh_stage.points)
    pose = MouthPose(jaw=0.9, low=0.1)
    upper, lower = mouth.edges(pose)
    column = int(np.argmax(lower - upper))
    red = mouth.draw(pose)[int(upper[column]) : int(lower[column]), column, 2].astype(float)
    middle, low = red[round(0.5 * len(red))], red[round(0.8 * len(red))]
    assert low > 2 * middle, "the tip is in the light and the throat is not"


def test_drawn_teeth_take_the_colour_of_the_own_ones(mesh_stage: Stage, shape: MouthShape) -> None:
    plain = MouthInterior.from_picture(mesh_stage.pixels, mesh_stage.points)
    own = block((120, 130, 140), 0.08)
    mixed = plain.with_upper_teeth(shape, own)
    assert mixed.palette.teeth == pytest.approx((120, 130, 140), abs=1)
    assert median_colour(mixed.lower).mean() < 0.75 * median_colour(plain.lower).mean()


def test_rounded_lips_hide_the_teeth(mesh_stage: Stage) -> None:
    mouth = MouthModel.from_landmarks(mesh_stage.pixels, mesh_stage.points)

    def brightest(wide: float) -> float:
        pose = MouthPose(jaw=0.3, low=0.2, wide=wide)
        upper, lower = mouth.edges(pose)
        column = int(np.argmax(lower - upper))
        grey = cv2.cvtColor(mouth.draw(pose), cv2.COLOR_BGR2GRAY)
        return float(grey[int(upper[column]) + 1 : int(lower[column]) - 1, column].max())

    assert brightest(-1.0) < 0.75 * brightest(0.4)


def test_closed_lips_are_no_smile(shape: MouthShape) -> None:
    assert smiling(shape) == 0
