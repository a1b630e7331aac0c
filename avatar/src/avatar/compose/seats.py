"""Boxes of the speakers of a scene, shared by several and moving; the scene renderer calls it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from avatar.compose.anchors import Warn, moment_ms
from avatar.compose.blend import Sprite, lay
from avatar.compose.colour import Pixels
from avatar.compose.layout import Rect, place
from avatar.compose.shapes import shape_mask
from avatar.engines.base import Layer
from avatar.spec import AvatarLayout, Box, Canvas, Speaker
from avatar.tracks import Word

Boxes = npt.NDArray[np.float64]
"""x, y, width and height in shares of the canvas, shape (frames, 4)."""


def share_canvas(cast: Sequence[Speaker], canvas: Canvas) -> list[AvatarLayout]:
    """Returns the layouts of a scene's speakers. Those whose box is the whole canvas share it evenly, beside
    each other, on an upright canvas above each other; a speaker alone keeps it.
    """
    layouts = [speaker.layout for speaker in cast]
    sharing = [index for index, layout in enumerate(layouts) if layout.visible and layout.box == Box()]
    if len(cast) == 1 or len(sharing) < 2:
        return layouts
    share = 1 / len(sharing)
    for number, index in enumerate(sharing):
        upright = canvas.height > canvas.width
        box = Box(y=number * share, height=share) if upright else Box(x=number * share, width=share)
        layouts[index] = layouts[index].model_copy(update={"box": box})
    return layouts


@dataclass(frozen=True, slots=True)
class BoxPath:
    """The box of a speaker in each frame, and `size`, (width, height) in pixels, in which the face is drawn:
    as high as the highest box, and as wide as the widest shape at that height.
    """

    rects: tuple[Rect, ...]
    size: tuple[int, int]

    def at(self, index: int) -> Rect:
        return self.rects[min(index, len(self.rects) - 1)]

    def widen(self, by: float) -> BoxPath:
        """Returns the path with boxes that reach further to both sides."""
        rects = tuple(_widen(rect, round(rect.width * by)) for rect in self.rects)
        return BoxPath(rects, (round(self.size[0] * by), self.size[1]))


def _widen(rect: Rect, width: int) -> Rect:
    return Rect(rect.x - (width - rect.width) // 2, rect.y, width, rect.height)


def box_path(
    layout: AvatarLayout, words: Sequence[Word], frames: int, canvas: Canvas, scene: str, warn: Warn
) -> BoxPath:
    """Returns the path of a speaker's box. A move whose word is not said is left out with a warning."""
    if not layout.moves:
        rect = place(layout.box, canvas)
        return BoxPath((rect,), (rect.width, rect.height))
    rate = float(canvas.rate)
    boxes: Boxes = np.tile(_numbers(layout.box), (max(1, frames), 1))
    found = [(moment_ms(move.at, words, scene, warn), move) for move in layout.moves]
    for ms, move in sorted(((ms, move) for ms, move in found if ms is not None), key=lambda one: one[0]):
        first = round(ms * rate / 1000)
        if first >= len(boxes):
            continue
        along = np.ones(len(boxes) - first)
        if move.ms > 0:
            along = np.clip((np.arange(len(along)) + 0.5) * 1000 / rate / move.ms, 0, 1)
        eased = (along * along * (3 - 2 * along))[:, np.newaxis]
        boxes[first:] = boxes[first] + (_numbers(move.box) - boxes[first]) * eased
    rects = tuple(place(Box(x=x, y=y, width=w, height=h), canvas) for x, y, w, h in boxes.tolist())
    height = max(rect.height for rect in rects)
    width = max(round(height * rect.width / rect.height) for rect in rects)
    return BoxPath(rects, (width, height))


def _numbers(box: Box) -> Boxes:
    return np.array([box.x, box.y, box.width, box.height])


def speaker_sprite(
    base: Pixels | None, layer: Layer, rect: Rect, size: tuple[int, int], layout: AvatarLayout
) -> Sprite:
    """Returns a drawn speaker at `rect`, cut to the shape of the layout.

    base: what never changes, (height, width, 3 or 4) of `size`; None where the layer is all. The picture is
    scaled as the layout's `fit` says, about its middle.
    """
    picture = _flat(base, layer, size)
    scales = rect.width / size[0], rect.height / size[1]
    scale = max(scales) if layout.fit == "cover" else min(scales)
    width, height = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    if (width, height) != size:
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)
    # Where it is larger than its box it is cut, where it is smaller it lies in the middle.
    left, top = max(0, (width - rect.width) // 2), max(0, (height - rect.height) // 2)
    picture = np.ascontiguousarray(picture[top : top + rect.height, left : left + rect.width])
    height, width = picture.shape[:2]
    mask = shape_mask(layout.shape, width, height)
    alpha = np.asarray(cv2.extractChannel(picture, 3), np.uint8) if picture.shape[2] == 4 else None
    if mask is not None:
        alpha = mask if alpha is None else np.asarray(cv2.multiply(alpha, mask, scale=1 / 255), np.uint8)
    x, y = rect.x + (rect.width - width) // 2, rect.y + (rect.height - height) // 2
    return Sprite(picture, x, y, alpha=alpha)


def _flat(base: Pixels | None, layer: Layer, size: tuple[int, int]) -> Pixels:
    """Returns the layer over the base as one picture of `size`: BGR where the base is opaque or the layer
    covers all, else BGRA with straight alpha.
    """
    width, height = size
    if base is None and layer.pixels.shape[:2] == (height, width):
        return layer.pixels
    whole = Rect(0, 0, width, height)
    sprite = Sprite(layer.pixels, layer.x, layer.y)
    if base is not None and base.shape[2] == 3:
        picture = base.copy()
        lay(picture, whole, sprite)
        return picture
    picture = np.zeros((height, width, 4), np.uint8) if base is None else base.copy()
    part = sprite.rect.within(whole)
    if part.empty:
        return picture
    target = picture[part.rows, part.columns]
    pixels = layer.pixels[part.y - layer.y :, part.x - layer.x :][: part.height, : part.width]
    target[...] = _over(pixels, target)
    return picture


def _over(above: Pixels, below: Pixels) -> Pixels:
    """Porter-Duff "over" of pictures with straight alpha, BGRA."""
    if above.shape[2] == 3:
        return np.asarray(cv2.cvtColor(above, cv2.COLOR_BGR2BGRA), np.uint8)
    front = above[..., 3:].astype(np.float32) / 255
    behind = below[..., 3:].astype(np.float32) / 255 * (1 - front)
    alpha = front + behind
    colour = above[..., :3] * front + below[..., :3] * behind
    colour = np.divide(colour, alpha, out=np.zeros_like(colour), where=alpha > 0)
    return np.dstack([np.rint(colour), np.rint(alpha * 255)]).astype(np.uint8)
