"""Animates overlays that come or go: the sprite of a moment between hidden and shown; for overlays."""

from __future__ import annotations

import cv2
import numpy as np

from avatar.compose.blend import Sprite
from avatar.spec import Animation, Canvas

TRAVEL = 0.06
"""A slide is so long, against the width or the height: far enough to be seen, too short to distract."""
_DIRECTIONS = {
    "slide_left": (1, 0),
    "slide_right": (-1, 0),
    "slide_up": (0, 1),
    "slide_down": (0, -1),
}
"""From which side it comes, in shares of `TRAVEL`."""
SMALLEST = 0.7
OVERSHOOT = 1.4


def animate(sprite: Sprite, how: Animation, progress: float, canvas: Canvas) -> Sprite:
    """`sprite` at `progress` of its way in, 0 to 1; 1 shows it as it is, fades are linear."""
    if progress >= 1 or how.kind == "none":
        return sprite
    if how.kind == "fade":
        return _seen(sprite, progress)
    eased = 1 - (1 - progress) ** 3
    if how.kind == "wipe":
        return _uncovered(sprite, eased)
    if how.kind == "pop":
        return _seen(_scaled(sprite, SMALLEST + (1 - SMALLEST) * _back(progress)), min(1.0, 2 * progress))
    x, y = _DIRECTIONS[how.kind]
    rest = TRAVEL * (1 - eased)
    moved = Sprite(
        sprite.pixels,
        sprite.x + round(x * rest * canvas.width),
        sprite.y + round(y * rest * canvas.height),
        sprite.opacity,
        sprite.alpha,
    )
    return _seen(moved, progress)


def _seen(sprite: Sprite, share: float) -> Sprite:
    return Sprite(sprite.pixels, sprite.x, sprite.y, sprite.opacity * share, sprite.alpha)


def _uncovered(sprite: Sprite, share: float) -> Sprite:
    width = max(1, round(sprite.pixels.shape[1] * share))
    return Sprite(np.ascontiguousarray(sprite.pixels[:, :width]), sprite.x, sprite.y, sprite.opacity)


def _scaled(sprite: Sprite, scale: float) -> Sprite:
    height, width = sprite.pixels.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = sprite.pixels
    if picture.shape[2] == 4:
        # Straight alpha would let colour of transparent parts into the edges.
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGBA2mRGBA), np.uint8)
    picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    if picture.shape[2] == 4:
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_mRGBA2RGBA), np.uint8)
    return Sprite(
        picture, sprite.x + (width - size[0]) // 2, sprite.y + (height - size[1]) // 2, sprite.opacity
    )


def _back(progress: float) -> float:
    """Eases out a little beyond 1 and comes back (Penner's easeOutBack)."""
    rest = progress - 1
    return 1 + (OVERSHOOT + 1) * rest**3 + OVERSHOOT * rest**2
