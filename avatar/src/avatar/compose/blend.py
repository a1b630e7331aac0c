"""Pictures with straight alpha laid over opaque ones; the composer and the overlays call it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from avatar.compose.colour import Pixels
from avatar.compose.layout import Rect


@dataclass(frozen=True, slots=True)
class Sprite:
    """A picture at a place on the canvas: uint8 (h, w, 3) BGR or (h, w, 4) BGRA with straight alpha."""

    pixels: Pixels
    x: int
    y: int
    opacity: float = 1.0

    @property
    def rect(self) -> Rect:
        return Rect(self.x, self.y, self.pixels.shape[1], self.pixels.shape[0])


def lay(patch: Pixels, at: Rect, sprite: Sprite, mask: npt.NDArray[np.float32] | None = None) -> None:
    """Lay what of `sprite` falls on `patch` over it, in place (Porter-Duff "over").

    `patch` is uint8 (h, w, 3) BGR and shows the canvas at `at`. `mask` 0..1 cuts the sprite, and has its
    size.
    """
    both = sprite.rect.within(at)
    if both.empty:
        return
    target = patch[both.y - at.y :, both.x - at.x :][: both.height, : both.width]
    inside = (slice(both.y - sprite.y, both.y - sprite.y + both.height),
              slice(both.x - sprite.x, both.x - sprite.x + both.width))  # fmt: skip
    pixels = sprite.pixels[inside]
    if pixels.shape[2] == 3 and mask is None:
        if sprite.opacity >= 1.0:
            target[...] = pixels
        else:
            target[...] = cv2.addWeighted(pixels, sprite.opacity, target, 1 - sprite.opacity, 0)
        return
    alpha = _alpha(pixels, sprite.opacity, None if mask is None else mask[inside])
    colour = pixels if pixels.shape[2] == 3 else cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR)
    beneath = np.ascontiguousarray(target)
    target[...] = cv2.blendLinear(np.ascontiguousarray(colour), beneath, alpha, 1 - alpha)


def _alpha(pixels: Pixels, opacity: float, mask: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
    if pixels.shape[2] == 3:
        if mask is None:
            raise ValueError("an opaque picture without a mask needs no alpha")
        return np.asarray(mask * np.float32(opacity), dtype=np.float32)
    alpha = cv2.extractChannel(pixels, 3).astype(np.float32)
    alpha *= opacity / 255
    return alpha if mask is None else alpha * mask
