"""Fills that were drawn once as pictures look like those that skia computes."""

import cv2
import numpy as np
import pytest
import skia
from avatar.engines.base import Pixels
from avatar.engines.rig import geometry, textures
from avatar.engines.rig.artwork import Fill, Linear, Radial
from avatar.engines.rig.paint import is_opaque, soft
from avatar.engines.rig.pieces import Piece
from avatar.engines.rig.textures import MARGIN, View, brush

SCALE = 2.4545
OUTLINE = geometry.bezier(*geometry.knots("-30,-20 40,-34 50,30 0,44 -44,30"), closed=True)
FILLS: dict[str, Fill] = {
    "flat": "#36903c80",
    "linear": Linear((-40, -30), (50, 40), (("#f2c9a8", 0.0), ("#8a4d2e", 0.4), ("#371a14", 1.0))),
    "radial": Radial((5, 2), 60, (("#f2c9a8", 0.0), ("#8a4d2e", 1.0)), 0.6),
    "spot": Radial((5, 2), 40, soft("#d04030", 0.7), 0.6),
}


def draw(paint: skia.Paint, shift: tuple[float, float] = (0.0, 0.0)) -> Pixels:
    pixels = np.full((300, 320, 4), (90, 140, 200, 255), np.uint8)
    canvas = skia.Surface(pixels, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType).getCanvas()
    canvas.translate(150.0, 140.0)
    canvas.scale(SCALE, SCALE)
    canvas.translate(*shift)
    canvas.drawPath(geometry.path(OUTLINE), paint)
    return pixels[..., :3]


def paints(fill: Fill, box: textures.Box = (-61.0, -57.0, 69.0, 65.0)) -> tuple[skia.Paint, skia.Paint]:
    computed = brush(fill, (OUTLINE,), 0.0, None)
    return computed, brush(fill, (OUTLINE,), 0.0, View(SCALE, box))


@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
@pytest.mark.parametrize("shift", [(0.0, 0.0), (7.3, -4.6)])
def test_a_texture_shows_what_skia_computes(fill: Fill, shift: tuple[float, float]) -> None:
    computed, texture = (draw(paint, shift) for paint in paints(fill))
    assert np.ptp(computed.astype(int)) > 40
    assert cv2.PSNR(computed, texture) > 46
    assert cv2.absdiff(computed, texture).max() <= 4


def test_a_part_outside_of_the_picture_takes_no_memory() -> None:
    box = (-61.0, -57.0, 69.0, 65.0)
    assert paints(FILLS["linear"], box)[1].getShader().isAImage()
    assert not paints(FILLS["linear"], (-61.0, 90.0, 69.0, 180.0))[1].getShader().isAImage()


def test_narrow_shapes_keep_their_flat_colour() -> None:
    """skia draws their short rows faster that way."""
    line = geometry.taper(np.array([[0.0, 0.0], [20.0, 40.0], [10.0, 90.0]]), 4.0)
    view = View(SCALE, (-100.0, -100.0, 100.0, 100.0))
    assert brush("#36903c80", (line,), 0.0, view).getShader() is None
    assert brush("#36903c80", (OUTLINE,), 0.0, view).getShader() is not None
    assert brush("#36903c", (OUTLINE,), 0.0, view).getShader() is None


def test_a_fill_goes_on_where_its_shape_moves_further_than_expected() -> None:
    fill = FILLS["linear"]
    assert not isinstance(fill, str) and is_opaque(fill)
    _, texture = paints(fill)
    pixels = np.zeros((300, 600, 4), np.uint8)
    canvas = skia.Surface(pixels, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType).getCanvas()
    canvas.translate(150.0, 140.0)
    canvas.scale(SCALE, SCALE)
    canvas.drawRect(skia.Rect.MakeLTRB(-60.0, -50.0, 55.0 + 4 * MARGIN, 60.0), texture)
    assert pixels[20:280, 4:440, 3].min() == 255


def test_contours_that_overlap_stay_one_piece() -> None:
    beside = OUTLINE + np.array([120.0, 0.0])
    across = OUTLINE + np.array([40.0, 10.0])
    for second, parts in ((beside, 2), (across, 1)):
        piece = Piece((OUTLINE, second), "#36903c80")
        assert [len(part.contours) for part in piece.split()] == [2 // parts] * parts
