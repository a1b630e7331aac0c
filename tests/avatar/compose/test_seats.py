"""A speaker's picture in a box that moves: without dark edges, jerks or a change where it stands."""

from dataclasses import astuple

import cv2
import numpy as np
import pytest
from avatar.compose.blend import lay
from avatar.compose.layout import Rect
from avatar.compose.seats import BoxPath, PixelBox, box_path, speaker_sprite
from avatar.engines.base import Layer
from avatar.spec import AvatarLayout, Canvas

CANVAS = Canvas(width=320, height=180, fps=25)
LEFT = {"x": 0.0, "y": 0.0, "width": 0.5, "height": 1.0}
SMALL = {"x": 0.6, "y": 0.4, "width": 0.3, "height": 0.6}


def figure(size: tuple[int, int] = (160, 180)) -> Layer:
    """A white disc in the middle of nothing, with straight alpha."""
    alpha = np.zeros((size[1], size[0]), np.uint8)
    cv2.circle(alpha, (size[0] // 2, size[1] // 2), 60, (255,), -1, cv2.LINE_AA)
    return Layer(np.dstack([np.where(alpha > 0, 255, 0).astype(np.uint8)] * 3 + [alpha]), 0, 0)


def draw_over(box: PixelBox, grey: int, layer: Layer | None = None) -> np.ndarray:
    canvas = np.full((180, 320, 3), grey, np.uint8)
    lay(
        canvas, Rect(0, 0, 320, 180), speaker_sprite(None, layer or figure(), box, (160, 180), AvatarLayout())
    )
    return canvas


def moving(ms: int = 3000) -> BoxPath:
    layout = AvatarLayout.model_validate(
        {"box": LEFT, "moves": [{"at": {"at": "time", "ms": 400}, "box": SMALL, "ms": ms}]}
    )
    return box_path(layout, (), 100, CANVAS, "a", lambda _: None)


def test_a_white_figure_has_no_dark_edge_on_white_while_it_moves() -> None:
    path = moving()
    for frame in (12, 40, 60, 99):
        assert draw_over(path.at(frame), 255).min() >= 252, frame


def test_a_slow_move_is_even() -> None:
    path = moving(ms=3400)
    first, last = np.array([0, 0, 160, 180]), np.array([192, 72, 96, 108])
    for frame in range(12, 90, 6):
        along = (frame - 10 + 0.5) * 40 / 3400
        x, y, width, height = first + (last - first) * (3 * along**2 - 2 * along**3)
        light = draw_over(path.at(frame), 0)[..., 0].astype(float)
        rows, columns = np.indices(light.shape)
        seen = (columns * light).sum() / light.sum(), (rows * light).sum() / light.sum()
        # The disc lies half a pixel beside the middle of its picture, as the middles of pixels do.
        to = x + width / 2 + height / 360 - 0.5, y + height / 2 + height / 360 - 0.5
        assert np.hypot(seen[0] - to[0], seen[1] - to[1]) < 0.12, frame


def test_a_figure_that_stands_is_shown_pixel_by_pixel() -> None:
    path, layer = moving().widen(1.8), figure((288, 180))
    before, after = path.at(0), path.at(99)
    sides = (*astuple(before), *astuple(after))
    assert all(side.is_integer() for side in sides) and before.rect == Rect(-64, 0, 288, 180)
    sprite = speaker_sprite(None, layer, before, path.size, AvatarLayout())
    assert (sprite.x, sprite.y) == (-64, 0) and np.array_equal(sprite.pixels, layer.pixels)


@pytest.mark.parametrize(("fit", "rows"), [("cover", 90), ("contain", 45)])
def test_a_picture_covers_its_box_or_lies_whole_in_it(fit: str, rows: int) -> None:
    layout = AvatarLayout(fit=fit)
    base = np.full((90, 180, 3), 200, np.uint8)
    layer = Layer(np.full((10, 10, 3), 20, np.uint8), 85, 40)
    sprite = speaker_sprite(base, layer, PixelBox(10.0, 20.0, 90.0, 90.0), (180, 90), layout)
    assert sprite.pixels.shape == (rows, 90, 3)
    assert (sprite.x, sprite.y) == (10, 20 + (90 - rows) // 2)
    assert sprite.pixels[rows // 2, 45].max() < 60 and sprite.pixels[2, 2].min() == 200
