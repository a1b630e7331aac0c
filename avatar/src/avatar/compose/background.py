"""The background behind the speaker: a picture that stays, or pictures that follow each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from avatar.compose.colour import Pixels
from avatar.compose.fitting import BLUR_OF_HEIGHT, blur, cover
from avatar.compose.footage import footage
from avatar.compose.text import rgba
from avatar.spec import (
    Background,
    Canvas,
    ColourBackground,
    ImageBackground,
    MediaRef,
    SetBackground,
    VideoBackground,
)

BLUR_STEP = 4
"""Scale before blurring: the difference cannot be seen, and a moving background has 40 ms."""
MIN_WEIGHT = 8.0
"""Where less background than this (of 255) is near, there is nothing to blur and the picture stays dark."""

EMPTY = (24, 20, 18)
"""BGR behind a box that does not fill the canvas when the scene keeps the speaker's own background."""


@dataclass(frozen=True, slots=True)
class Backdrop:
    """`still` uint8 BGR (h, w, 3) of the canvas' size; `moving`, when given, takes its place frame by
    frame.
    """

    still: Pixels
    moving: Iterator[Pixels] | None = None


def open_backdrop(
    background: Background, canvas: Canvas, resolve: Callable[[MediaRef], Path], cache: Path
) -> Backdrop:
    """The backdrop of a scene. Raises `InvalidInput` for a picture or video that cannot be read. `cache`: the
    folder of rooms that were drawn before.
    """
    if isinstance(background, ColourBackground):
        return Backdrop(_colours(background, canvas))
    if isinstance(background, ImageBackground):
        from avatar.face.pictures import read_picture

        picture = read_picture(resolve(background.image))
        filled = cover(_opaque(picture), canvas.width, canvas.height)
        return Backdrop(blur(filled, background.blur))
    if isinstance(background, VideoBackground):
        path = resolve(background.video)
        frames = footage(path, float(canvas.rate), loop=True, shown=background.video.name or path.name)
        moving = (blur(cover(frame, canvas.width, canvas.height), background.blur) for frame in frames)
        first = next(moving)
        return Backdrop(first, chain([first], moving))
    if isinstance(background, SetBackground):
        from avatar.compose.sets import load_set

        return Backdrop(load_set(background, canvas, cache))
    return Backdrop(_flat(canvas, EMPTY))


def blur_source(picture: Pixels, person: Pixels, amount: float) -> Pixels:
    """The source's own background, blurred, with the person taken out of it first.

    picture uint8 (h, w, 3); person uint8 (h, w), 255 where the person is. Only background pixels feed the
    blur (normalised convolution), so the person leaves no shadow of themselves behind them.
    """
    height, width = picture.shape[:2]
    behind = (255 - person).astype(np.uint8)
    seen = cv2.multiply(picture, cv2.merge([behind] * 3), scale=1 / 255)
    small = (max(1, width // BLUR_STEP), max(1, height // BLUR_STEP))
    sigma = max(0.3, amount * BLUR_OF_HEIGHT * small[1])
    colour = cv2.GaussianBlur(cv2.resize(seen, small, interpolation=cv2.INTER_AREA), (0, 0), sigma)
    weight = cv2.GaussianBlur(cv2.resize(behind, small, interpolation=cv2.INTER_AREA), (0, 0), sigma)
    filled = colour * (255 / np.maximum(weight.astype(np.float32), MIN_WEIGHT))[..., None]
    whole = np.clip(filled, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _colours(background: ColourBackground, canvas: Canvas) -> Pixels:
    red, green, blue, _ = rgba(background.colour)
    if background.to_colour is None:
        return _flat(canvas, (blue, green, red))
    end = rgba(background.to_colour)
    ramp = np.linspace(0, 1, canvas.height, dtype=np.float32)[:, None, None]
    top, bottom = np.array((blue, green, red), np.float32), np.array(end[2::-1], np.float32)
    # Half a step of noise, always the same, hides the bands that eight bits leave in a slow ramp.
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (canvas.height, canvas.width, 1)).astype(np.float32)
    return np.asarray(np.clip(top + (bottom - top) * ramp + noise + 0.5, 0, 255), np.uint8)


def _flat(canvas: Canvas, bgr: tuple[int, int, int]) -> Pixels:
    row = np.full((1, canvas.width, 3), bgr, np.uint8)
    return np.repeat(row, canvas.height, axis=0)


def _opaque(picture: Pixels) -> Pixels:
    """Transparent parts show the empty colour."""
    if picture.shape[2] == 3:
        return picture
    alpha = picture[..., 3:].astype(np.float32) / 255
    return (picture[..., :3] * alpha + np.array(EMPTY, np.float32) * (1 - alpha)).astype(np.uint8)
