"""Words for picture sizes ("720p", "vertical") as pixels; used by the tools of videos and projects."""

from __future__ import annotations

from typing import Literal

from avatar.spec import Canvas

Quality = Literal["360p", "480p", "720p", "1080p", "1440p", "2160p"]
Shape = Literal["landscape", "square", "vertical"]


def canvas_for(quality: Quality, shape: Shape) -> Canvas:
    """The quality names the short side in pixels; landscape is 16:9, vertical 9:16, sides are even."""
    return _canvas(int(quality.removesuffix("p")), shape, fps=25)


def resize(canvas: Canvas, quality: Quality | None, shape: Shape | None) -> Canvas:
    """The canvas with what is said changed: without a shape its sides keep their ratio."""
    short_now = min(canvas.width, canvas.height)
    short = short_now if quality is None else int(quality.removesuffix("p"))
    if shape is not None:
        return _canvas(short, shape, canvas.fps)
    width, height = (_even(side * short / short_now) for side in (canvas.width, canvas.height))
    return Canvas(width=width, height=height, fps=canvas.fps)


def _even(side: float) -> int:
    return round(side / 2) * 2


def _canvas(short: int, shape: Shape, fps: float) -> Canvas:
    long = (short * 16 // 9 + 1) // 2 * 2
    if shape == "square":
        return Canvas(width=short, height=short, fps=fps)
    if shape == "vertical":
        return Canvas(width=short, height=long, fps=fps)
    return Canvas(width=long, height=short, fps=fps)
