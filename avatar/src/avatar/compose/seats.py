"""Boxes of the speakers of a scene, shared by several and moving; the scene renderer calls it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from avatar.compose.anchors import Warn, moment_ms
from avatar.compose.blend import Sprite, lay
from avatar.compose.colour import Pixels
from avatar.compose.layout import Rect, place
from avatar.compose.shapes import shape_mask
from avatar.engines.base import Layer, Reach
from avatar.spec import AvatarLayout, Box, Canvas, Speaker
from avatar.tracks import Word

ARMS_REACH = 1.8
"""Arms of characters that are cut out reach over the sides of their boxes, in widths of them."""
Boxes = npt.NDArray[np.float64]
"""x, y, width and height in pixels of the canvas, shape (frames, 4)."""


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
class PixelBox:
    """A box in pixels of the canvas. One that moves has fractions: whole pixels would make it jerk."""

    x: float
    y: float
    width: float
    height: float

    @property
    def rect(self) -> Rect:
        return Rect(round(self.x), round(self.y), max(2, round(self.width)), max(2, round(self.height)))


@dataclass(frozen=True, slots=True)
class BoxPath:
    """The box of a speaker in each frame, and `size`, (width, height) in pixels, in which the face is drawn:
    as high as the highest box, and as wide as the widest shape at that height.
    """

    boxes: Boxes
    size: tuple[int, int]

    def at(self, index: int) -> PixelBox:
        return PixelBox(*self.boxes[min(index, len(self.boxes) - 1)].tolist())

    def widen(self, by: float) -> BoxPath:
        """Returns the path with boxes that reach further to both sides."""
        x, y, width, height = self.boxes.T
        stands = (np.mod(self.boxes, 1) == 0).all(axis=1)
        wider = np.where(stands, np.rint(width * by), width * by)
        beside = np.where(stands, (wider - width) // 2, (wider - width) / 2)
        return BoxPath(
            np.column_stack([x - beside, y, wider, height]), (round(self.size[0] * by), self.size[1])
        )


def room_for_arms(path: BoxPath, canvas: Canvas) -> tuple[BoxPath, Reach]:
    """Returns the path with boxes that hold raised arms as far as the canvas shows them, and the room of the
    character in them.
    """
    x, _, width, _ = path.boxes.T
    middle = x + width / 2
    span = path.size[0]
    left, right = (round(float(np.median(side * span / width))) for side in (middle, canvas.width - middle))
    seen = float((2 * np.maximum(middle, canvas.width - middle) / width).max())
    return path.widen(max(1.0, min(ARMS_REACH, seen))), Reach(span, left, right)


def box_path(
    layout: AvatarLayout, words: Sequence[Word], frames: int, canvas: Canvas, scene: str, warn: Warn
) -> BoxPath:
    """Returns the path of a speaker's box. A move whose word is not said is left out with a warning."""
    rate = float(canvas.rate)
    boxes: Boxes = np.tile(_pixels(layout.box, canvas), (max(1, frames), 1))
    found = [(moment_ms(move.at, words, scene, warn), move) for move in layout.moves]
    for ms, move in sorted(((ms, move) for ms, move in found if ms is not None), key=lambda one: one[0]):
        first = round(ms * rate / 1000)
        if first >= len(boxes):
            continue
        along = np.ones(len(boxes) - first)
        if move.ms > 0:
            along = np.clip((np.arange(len(along)) + 0.5) * 1000 / rate / move.ms, 0, 1)
        eased = (along * along * (3 - 2 * along))[:, np.newaxis]
        # Rounded, so that it ends on whole pixels.
        boxes[first:] = np.round(boxes[first] + (_pixels(move.box, canvas) - boxes[first]) * eased, 6)
    highest = boxes[:, 3].max()
    return BoxPath(boxes, (round((highest * boxes[:, 2] / boxes[:, 3]).max()), round(highest)))


def _pixels(box: Box, canvas: Canvas) -> Boxes:
    rect = place(box, canvas)
    return np.array([rect.x, rect.y, rect.width, rect.height], np.float64)


def speaker_sprite(
    base: Pixels | None, layer: Layer, box: PixelBox, size: tuple[int, int], layout: AvatarLayout
) -> Sprite:
    """Returns a drawn speaker in `box`, cut to the shape of the layout.

    base: what never changes, (height, width, 3 or 4) of `size`; None where the layer is all. The picture is
    scaled as the layout's `fit` says, about its middle.
    """
    width, height = size
    covers = layout.fit == "cover"
    scale = (max if covers else min)(box.width / width, box.height / height)
    left, top = box.x + (box.width - width * scale) / 2, box.y + (box.height - height * scale) / 2
    frame = box.rect if covers else PixelBox(left, top, width * scale, height * scale).rect
    picture = layer.pixels
    if base is None:
        left, top = left + layer.x * scale, top + layer.y * scale
    else:
        picture = _flat(base, layer, size)
    picture, seen = _scaled(picture, left, top, scale, frame)
    mask = _mask(layout.shape, frame.width, frame.height)
    if mask is None:
        return Sprite(picture, seen.x, seen.y)
    mask = mask[seen.y - frame.y :, seen.x - frame.x :][: seen.height, : seen.width]
    if picture.shape[2] == 4:
        alpha = np.asarray(cv2.extractChannel(picture, 3), np.uint8)
        mask = np.asarray(cv2.multiply(alpha, mask, scale=1 / 255), np.uint8)
    return Sprite(picture, seen.x, seen.y, alpha=mask)


@lru_cache(maxsize=8)
def _mask(shape: Literal["rectangle", "rounded", "circle"], width: int, height: int) -> Pixels | None:
    return shape_mask(shape, width, height)


def _scaled(picture: Pixels, left: float, top: float, scale: float, frame: Rect) -> tuple[Pixels, Rect]:
    """Returns what `frame` shows of a picture with its corner at (`left`, `top`), and where that is."""
    height, width = picture.shape[:2]
    first = math.floor(left), math.floor(top)
    last = math.ceil(left + width * scale), math.ceil(top + height * scale)
    seen = Rect(*first, last[0] - first[0], last[1] - first[1]).within(frame)
    if seen.empty:
        return picture[:0, :0], seen
    if scale == 1 and left.is_integer() and top.is_integer():
        cut = picture[seen.y - int(top) :, seen.x - int(left) :][: seen.height, : seen.width]
        return np.ascontiguousarray(cut), seen
    has_alpha = picture.shape[2] == 4
    if has_alpha:  # Between straight colours of a figure and of nothing lies a dark edge.
        picture = _premultiplied(picture)
    shrink = math.floor(1 / scale)
    if shrink > 1:  # Linear sampling skips pixels of a picture more than twice as large.
        to = math.ceil(width / shrink), math.ceil(height / shrink)
        picture = np.asarray(cv2.resize(picture, to, interpolation=cv2.INTER_AREA), np.uint8)
    step_x, step_y = picture.shape[1] / width / scale, picture.shape[0] / height / scale
    # Pixels are looked up at their middles.
    matrix = np.array(
        [
            [step_x, 0, (seen.x + 0.5 - left) * step_x - 0.5],
            [0, step_y, (seen.y + 0.5 - top) * step_y - 0.5],
        ]
    )
    scaled = np.asarray(
        cv2.warpAffine(
            picture,
            matrix,
            (seen.width, seen.height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )
    return _straight(scaled) if has_alpha else scaled, seen


def _premultiplied(picture: Pixels) -> Pixels:
    alpha = np.asarray(cv2.extractChannel(picture, 3), np.uint8)
    weight = cv2.merge([alpha, alpha, alpha, np.full_like(alpha, 255)])
    return np.asarray(cv2.multiply(picture, weight, scale=1 / 255), np.uint8)


def _straight(picture: Pixels) -> Pixels:
    """Undoes `_premultiplied`; what cannot be seen gets no colour."""
    alpha = np.asarray(cv2.extractChannel(picture, 3), np.uint8)
    weight = cv2.merge([alpha, alpha, alpha, np.full_like(alpha, 255)])
    return np.asarray(cv2.divide(picture, weight, scale=255), np.uint8)


def _flat(base: Pixels, layer: Layer, size: tuple[int, int]) -> Pixels:
    """Returns the layer over the base as one picture of `size`; of the channels of the base."""
    whole = Rect(0, 0, *size)
    sprite = Sprite(layer.pixels, layer.x, layer.y)
    picture = base.copy()
    if base.shape[2] == 3:
        lay(picture, whole, sprite)
        return picture
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
