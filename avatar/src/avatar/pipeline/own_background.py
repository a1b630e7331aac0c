"""The ground of a speaker's own picture: blurred behind them; and a face at rest."""

from __future__ import annotations

from contextlib import closing

import numpy as np

from avatar.compose.background import blur_source
from avatar.compose.blend import Sprite, lay
from avatar.compose.colour import Pixels
from avatar.compose.layout import Rect
from avatar.engines.base import FaceEngine
from avatar.engines.registry import open_engine
from avatar.pipeline.context import Context
from avatar.spec import Face
from avatar.tracks import CHANNELS, ControlTrack


def source_background(face: Face, box: Rect, fps: int, blur: float, context: Context) -> Pixels:
    """Returns the blurred background of the first picture of `face`; uint8 BGR of the box' size.

    A photo's background stands still; behind a motion video it is that of each layer that is seen.
    """
    whole = _first_picture(face, box, fps, context, alpha=False)
    person = _first_picture(face, box, fps, context, alpha=True)
    return blur_source(np.ascontiguousarray(whole[..., :3]), person[..., 3], blur)


def _first_picture(face: Face, box: Rect, fps: int, context: Context, *, alpha: bool) -> Pixels:
    engine = open_engine(
        face, (box.width, box.height), fps, resolve=context.resolve, cache=context.cache, alpha=alpha
    )
    with closing(engine):
        return draw_at_rest(engine, box, alpha=alpha)


def draw_at_rest(engine: FaceEngine, box: Rect, *, alpha: bool) -> Pixels:
    """Returns a face that does nothing, on its base: uint8 BGR of the box' size, with `alpha` BGRA of
    the face alone.
    """
    at_rest = ControlTrack(fps=25, curves={name: np.zeros(1, np.float32) for name in CHANNELS})
    layer = engine.draw(next(iter(engine.items(at_rest))))
    channels = 4 if alpha else 3
    picture = (
        np.zeros((box.height, box.width, channels), np.uint8) if engine.base is None else engine.base.copy()
    )
    if alpha:
        height, width = layer.pixels.shape[:2]
        picture[layer.y : layer.y + height, layer.x : layer.x + width] = layer.pixels
        return picture
    lay(picture, Rect(0, 0, box.width, box.height), Sprite(layer.pixels, layer.x, layer.y))
    return picture
