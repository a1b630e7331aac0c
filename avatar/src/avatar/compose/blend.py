"""Pictures with straight alpha laid over opaque ones; the composer and the overlays call it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from avatar.compose.colour import Pixels
from avatar.compose.layout import Rect

BAND_ROWS = 96
"""Low enough to follow an outline, high enough to cost few calls."""


@dataclass(frozen=True, slots=True)
class Sprite:
    """A picture at a place on the canvas: uint8 (h, w, 3) BGR or (h, w, 4) BGRA with straight alpha."""

    pixels: Pixels
    x: int
    y: int
    opacity: float = 1.0
    alpha: Pixels | None = None
    """The fourth channel by itself, where it has been extracted already."""

    @property
    def rect(self) -> Rect:
        return Rect(self.x, self.y, self.pixels.shape[1], self.pixels.shape[0])


def visible(sprite: Sprite, rows: int) -> list[Sprite]:
    """`sprite` in bands of so many rows, an even number, each cut to where it is not wholly transparent: less
    to blend, less to convert. Bands begin at multiples of `rows` on the canvas, and all sides are even where
    the sprite reaches as far.
    """
    if sprite.pixels.shape[2] == 3:
        return [sprite]
    alpha = np.asarray(cv2.extractChannel(sprite.pixels, 3), dtype=np.uint8)
    edges = [0, *range(-sprite.y % rows or rows, len(alpha), rows), len(alpha)]
    bands = []
    for first, last in pairwise(edges):
        x, y, width, height = cv2.boundingRect(alpha[first:last])
        if width == 0:
            continue
        seen = Rect(sprite.x + x, sprite.y + first + y, width, height).even(sprite.rect)
        cut = (
            slice(seen.y - sprite.y, seen.y - sprite.y + seen.height),
            slice(seen.x - sprite.x, seen.x - sprite.x + seen.width),
        )
        bands.append(Sprite(sprite.pixels[cut], seen.x, seen.y, sprite.opacity, alpha[cut]))
    return bands


def composite_over(behind: Pixels, sprite: Sprite, mask: Pixels | None = None) -> Pixels:
    """`sprite` over the part of the canvas `behind`, uint8 BGR of its size, as a new picture; see `lay`."""
    alpha = _alpha(sprite.pixels, sprite.alpha, sprite.opacity, mask)
    if alpha is None:
        return sprite.pixels
    patch = np.empty_like(behind)
    for first in range(0, len(patch), BAND_ROWS):
        band = slice(first, first + BAND_ROWS)
        _lay_band(patch[band], behind[band], sprite.pixels[band], alpha[band])
    return patch


def lay(patch: Pixels, at: Rect, sprite: Sprite, mask: Pixels | None = None) -> None:
    """Lay what of `sprite` falls on `patch` over it, in place (Porter-Duff "over").

    `patch` is uint8 (h, w, 3) BGR and shows the canvas at `at`. `mask` uint8 cuts the sprite, and has its
    size.
    """
    both = sprite.rect.within(at)
    if both.empty:
        return
    target = patch[both.y - at.y :, both.x - at.x :][: both.height, : both.width]
    rows = slice(both.y - sprite.y, both.y - sprite.y + both.height)
    columns = slice(both.x - sprite.x, both.x - sprite.x + both.width)
    pixels = sprite.pixels[rows, columns]
    own = None if sprite.alpha is None else sprite.alpha[rows, columns]
    alpha = _alpha(pixels, own, sprite.opacity, None if mask is None else mask[rows, columns])
    if alpha is None:
        target[...] = pixels
        return
    for first in range(0, both.height, BAND_ROWS):
        band = slice(first, first + BAND_ROWS)
        _lay_band(target[band], None, pixels[band], alpha[band])


def _lay_band(target: Pixels, behind: Pixels | None, pixels: Pixels, alpha: Pixels) -> None:
    """Lay over `behind`, or over what `target` holds.

    Most of a person is opaque and most around them empty: only columns that are neither are blended.
    """
    seen = np.flatnonzero(alpha.max(axis=0))
    left, right = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (0, 0)
    first, last = _longest_run(alpha[:, left:right].min(axis=0) == 255)
    first, last = left + first, left + last
    if behind is not None:
        for columns in (slice(0, left), slice(right, None)):
            target[:, columns] = behind[:, columns]
    if first < last:
        if pixels.shape[2] == 4:
            cv2.cvtColor(pixels[:, first:last], cv2.COLOR_BGRA2BGR, dst=target[:, first:last])
        else:
            target[:, first:last] = pixels[:, first:last]
    below = target if behind is None else behind
    for columns in (slice(left, first), slice(last, right)):
        if columns.start < columns.stop:
            _blend(target[:, columns], below[:, columns], pixels[:, columns], alpha[:, columns])


def _longest_run(flags: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Begin and end of the longest row of true values; (0, 0) when there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    if not len(edges):
        return 0, 0
    longest = 2 * int(np.argmax(edges[1::2] - edges[::2]))
    return int(edges[longest]), int(edges[longest + 1])


def _blend(target: Pixels, behind: Pixels, pixels: Pixels, alpha: Pixels) -> None:
    colour = pixels if pixels.shape[2] == 3 else cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR)
    weight = cv2.cvtColor(alpha, cv2.COLOR_GRAY2BGR)
    # Eight bits all the way: OpenCV's float blend takes three times as long, for half a step of precision.
    above = cv2.multiply(colour, weight, scale=1 / 255)
    below = cv2.multiply(behind, cv2.bitwise_not(weight), scale=1 / 255)
    cv2.add(above, below, dst=target)


def _alpha(pixels: Pixels, own: Pixels | None, opacity: float, mask: Pixels | None) -> Pixels | None:
    """uint8 (h, w), or None when the picture hides all that lies under it."""
    alpha = own
    if alpha is None and pixels.shape[2] == 4:
        alpha = np.asarray(cv2.extractChannel(pixels, 3), dtype=np.uint8)
    if mask is not None:
        alpha = mask if alpha is None else np.asarray(cv2.multiply(alpha, mask, scale=1 / 255), np.uint8)
    if opacity < 1:
        whole = np.full(pixels.shape[:2], 255, np.uint8)
        faded = cv2.convertScaleAbs(whole if alpha is None else alpha, alpha=opacity)
        alpha = np.asarray(faded, dtype=np.uint8)
    return alpha
