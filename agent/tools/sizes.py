"""Words for picture sizes ("720p", "vertical") as pixels; used by the make_render tool."""

from __future__ import annotations

from typing import Literal

from avatar.spec import Canvas

Quality = Literal["360p", "480p", "720p", "1080p", "1440p", "2160p"]
Shape = Literal["landscape", "square", "vertical"]


def canvas_for(quality: Quality, shape: Shape, fps: int = 25) -> Canvas:
    """The quality names the short side in pixels; landscape is 16:9, vertical 9:16, sides are even."""
    short = int(quality.removesuffix("p"))
    long = (short * 16 // 9 + 1) // 2 * 2
    if shape == "square":
        return Canvas(width=short, height=short, fps=fps)
    if shape == "vertical":
        return Canvas(width=short, height=long, fps=fps)
    return Canvas(width=long, height=short, fps=fps)
