"""The fast ways of the composer show what plain painting shows: backdrop, engine, layer, overlays, in that
order.
"""

import mmap

import numpy as np
import pytest
from avatar.compose.blend import Sprite
from avatar.compose.colour import Planes
from avatar.compose.composer import SPEAKER_ROWS, Composer
from avatar.compose.layout import Rect
from avatar.compose.shapes import shape_mask
from avatar.engines.base import Layer

HEIGHT, WIDTH = 90, 160


def picture(seed: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    """Soft patches, so that chroma at borders does not decide the comparison."""
    rough = np.random.default_rng(seed).integers(
        0, 256, (height // 10 + 1, width // 10 + 1, channels), np.uint8
    )
    return np.kron(rough, np.ones((10, 10, 1), np.uint8))[:height, :width]


def paint_plainly(canvas: np.ndarray, sprite: Sprite, mask: np.ndarray | None = None) -> np.ndarray:
    """Porter-Duff "over" in floats, pixel by pixel."""
    out = canvas.astype(np.float64)
    pixels = sprite.pixels.astype(np.float64)
    alpha = np.ones(pixels.shape[:2]) if pixels.shape[2] == 3 else pixels[..., 3] / 255
    if mask is not None:
        alpha = alpha * mask / 255
    for row in range(pixels.shape[0]):
        for column in range(pixels.shape[1]):
            y, x = sprite.y + row, sprite.x + column
            if 0 <= y < out.shape[0] and 0 <= x < out.shape[1]:
                weight = alpha[row, column] * sprite.opacity
                out[y, x] = weight * pixels[row, column, :3] + (1 - weight) * out[y, x]
    return out


def assert_shows(planes: Planes, expected: np.ndarray) -> None:
    expected_frame = Planes.of(np.clip(np.rint(expected), 0, 255).astype(np.uint8))
    for name in ("y", "cb", "cr"):
        difference = np.abs(getattr(planes, name).astype(int) - getattr(expected_frame, name))
        assert difference.max() <= 3, f"{name} differs by {difference.max()}"


def test_without_a_layer_the_backdrop_shows():
    backdrop = picture(1, HEIGHT, WIDTH)
    assert_shows(Composer(backdrop, Rect(0, 0, WIDTH, HEIGHT)).paint(None), backdrop)


@pytest.mark.parametrize("place", [(20, 10), (21, 11), (-7, 30), (140, 71)])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_layer_lies_over_the_engines_base_and_the_backdrop(place, channels):
    backdrop, base = picture(1, HEIGHT, WIDTH), picture(2, 60, 80, channels)
    layer = Layer(picture(3, 30, 40, channels), 9, 13)
    box = Rect(*place, 80, 60)
    plain = paint_plainly(backdrop, Sprite(base, box.x, box.y))
    plain = paint_plainly(plain, Sprite(layer.pixels, box.x + 9, box.y + 13))
    assert_shows(Composer(backdrop, box, base).paint(layer), plain)


def test_a_layer_over_the_whole_canvas_is_shown_as_it_is():
    full = picture(4, HEIGHT, WIDTH)
    composer = Composer(picture(1, HEIGHT, WIDTH), Rect(0, 0, WIDTH, HEIGHT), picture(2, HEIGHT, WIDTH))
    assert_shows(composer.paint(Layer(full)), full)


def test_overlays_lie_over_the_layer_in_their_order_and_opacity():
    backdrop = picture(1, HEIGHT, WIDTH)
    layer = Layer(picture(3, 50, 60, 4), 0, 0)
    overlays = [
        Sprite(picture(5, 30, 50, 4), 41, 21, 0.5),
        Sprite(picture(6, 20, 30), 60, 30, 0.25),
        Sprite(picture(7, 20, 20), 150, 80),
    ]
    plain = paint_plainly(backdrop, Sprite(layer.pixels, 30, 20))
    for overlay in overlays:
        plain = paint_plainly(plain, overlay)
    assert_shows(Composer(backdrop, Rect(30, 20, 60, 50)).paint(layer, overlays), plain)


def test_a_circle_cuts_the_picture_and_its_base():
    backdrop, base = picture(1, HEIGHT, WIDTH), picture(2, 60, 60)
    mask = shape_mask("circle", 60, 60)
    layer = Layer(picture(3, 30, 60), 0, 20)
    shown = Composer(backdrop, Rect(50, 10, 60, 60), base, mask).paint(layer)
    whole = base.copy()
    whole[20:50] = layer.pixels
    assert_shows(shown, paint_plainly(backdrop, Sprite(whole, 50, 10), mask))
    corner = shown.to_bgr()[10:14, 50:54].astype(int)
    assert np.abs(corner - Planes.of(backdrop).to_bgr()[10:14, 50:54]).max() <= 2


def test_a_moving_backdrop_takes_the_place_of_the_still_one():
    still, moved = picture(1, HEIGHT, WIDTH), picture(8, HEIGHT, WIDTH)
    base, layer = picture(2, 60, 80, 4), Layer(picture(3, 30, 40, 4), 10, 10)
    plain = paint_plainly(moved, Sprite(base, 20, 10))
    plain = paint_plainly(plain, Sprite(layer.pixels, 30, 20))
    assert_shows(Composer(still, Rect(20, 10, 80, 60), base).paint(layer, (), moved), plain)


def test_a_frame_given_back_does_not_shine_through_the_next_one():
    composer = Composer(picture(1, HEIGHT, WIDTH), Rect(0, 0, WIDTH, HEIGHT))
    first = composer.paint(Layer(picture(3, 30, 40), 0, 0))
    composer.recycle(first)
    second = composer.paint(Layer(picture(4, 20, 20), 100, 60))
    assert second is first
    expected = picture(1, HEIGHT, WIDTH)
    expected[60:80, 100:120] = picture(4, 20, 20)
    assert_shows(second, expected)


@pytest.mark.parametrize("place", [(0, 0), (7, 5), (-9, -31), (41, 100)])
def test_a_tall_cut_out_is_composed_in_bands_without_a_seam(place):
    height, width = 2 * SPEAKER_ROWS + 60, 90
    backdrop = picture(1, height, width)
    person = picture(3, height - 20, 50, 4)
    yy, xx = np.mgrid[: height - 20, :50]
    person[..., 3] = np.where(np.abs(xx - 25 - 8 * np.sin(yy / 40)) < 12, 255, person[..., 3] // 3)
    person[..., 3][np.abs(xx - 25) > 22] = 0
    shown = Composer(backdrop, Rect(*place, 50, height - 20)).paint(Layer(person))
    assert_shows(shown, paint_plainly(backdrop, Sprite(person, *place)))


def test_a_layer_that_is_wholly_transparent_shows_the_backdrop():
    backdrop = picture(1, HEIGHT, WIDTH)
    nothing = picture(3, 30, 40, 4)
    nothing[..., 3] = 0
    assert_shows(Composer(backdrop, Rect(20, 10, 40, 30)).paint(Layer(nothing)), backdrop)


def test_a_frame_painted_where_another_one_was_shows_nothing_of_it():
    height, width = 92, 162
    assert Planes.can_lie_in(width, height)
    composer = Composer(picture(1, height, width), Rect(0, 0, width, height))
    paper = Planes(width, height, mmap.mmap(-1, Planes.bytes_of(width, height)))
    label = Sprite(picture(5, 20, 30, 4), 11, 61)
    frames = [
        (Layer(picture(3, 30, 40, 4), 10, 10), (label,), None),
        (Layer(picture(4, 30, 40, 4), 13, 17), (), None),
        (None, (), picture(6, height, width)),
        (Layer(picture(4, 20, 20), 100, 60), (), None),
        (None, (label,), None),
        (None, (), None),
    ]
    for layer, overlays, backdrop in frames:
        fresh = Composer(picture(1, height, width), Rect(0, 0, width, height))
        assert composer.paint(layer, overlays, backdrop, paper) is paper
        expected_frame = fresh.paint(layer, overlays, backdrop)
        for name in ("y", "cb", "cr"):
            assert np.array_equal(getattr(paper, name), getattr(expected_frame, name))
