"""Ears, nose, neck and soft shading of the face, drawn from a character's skin colours. Used by the character files."""

from __future__ import annotations

from avatar.engines.rig.artwork import Linear, Radial, Shape, Skin
from avatar.engines.rig.paint import blend, clear, soft


def ears(skin: Skin, x: float = 78.0, y: float = 18.0, size: float = 1.0) -> tuple[Shape, ...]:
    def knots(points: tuple[tuple[float, float], ...]) -> str:
        return " ".join(f"{x + px * size:.2f},{y + py * size:.2f}" for px, py in points)

    outer = ((-8, -16), (2, -25), (11, -22), (13, -8), (9, 8), (5, 22), (-2, 28), (-9, 20))
    inner = ((-4, -12), (2, -19), (8, -15), (8, -6), (4, 2), (5, 9), (0, 14), (-5, 6))
    return (
        Shape(
            knots(outer),
            Linear((x - 6, y), (x + 14, y), ((skin.shade, 0), (skin.base, 1))),
            mirror="twin", lift=0.0, depth=-2.0,
        ),
        Shape(knots(inner), clear(skin.deep, 0.45), mirror="twin", lift=0.0, depth=-2.0),
    )  # fmt: skip


def neck(skin: Skin, width: float = 40.0) -> tuple[Shape, ...]:
    """The neck and the shadow of the chin on it."""
    w = width
    return (
        Shape(
            f"0,60 {w - 4},62 {w - 2},105 {w},138 {w + 9},164 {w + 34},184 {w + 60},196 {w + 50},250 0,290",
            Linear((-60, 0), (60, 0), ((skin.base, 0), (skin.base, 0.45), (skin.shade, 1))),
            mirror="half",
        ),
        Shape(
            f"0,90 {w},90 {w},120 {w - 4},140 {w * 0.55},158 0,164",
            Linear((0, 112), (0, 164), ((clear(skin.deep, 0.85), 0), (clear(skin.deep, 0.5), 0.6), (clear(skin.deep, 0.12), 1))),
            mirror="half",
        ),
    )  # fmt: skip


def face(skin: Skin, outline: str) -> tuple[Shape, ...]:
    """The face itself and its light: from the picture's upper left, with blush and a soft shaded side."""
    return (
        Shape(
            outline,
            Linear((-70, -60), (80, 110), ((skin.light, 0), (skin.base, 0.45), (blend(skin.base, skin.shade, 0.75), 1))),
            mirror="half", lift=0.55, jaw=1.0, name="face",
        ),
        Shape("96,-80 96,140 20,140 30,124 54,96 66,56 68,10 62,-50", Linear((54, 20), (84, 12), ((clear(skin.shade, 0.0), 0), (clear(skin.shade, 0.75), 1))), jaw=1.0, inside="face"),
        Shape("-30,132 -12,117 12,117 30,132", Linear((0, 114), (0, 132), ((clear(skin.deep, 0), 0), (clear(skin.deep, 0.35), 1))), jaw=1.0, inside="face"),
        Shape("18,42 46,20 74,42 46,66", Radial((47, 44), 30, soft(skin.blush, 0.50), 0.8), mirror="twin", inside="face"),
        Shape("-40,-90 40,-90 60,-50 0,-30 -60,-50", Radial((-14, -58), 56, soft(skin.light, 0.7), 0.6), inside="face"),
        Shape("-22,100 22,100 22,126 -22,126", Radial((-3, 112), 16, soft(skin.light, 0.55), 0.7), jaw=1.0),
        Shape("-62,24 -24,24 -24,50 -62,50", Radial((-44, 30), 20, soft(skin.light, 0.55), 0.55)),
    )  # fmt: skip


def nose(skin: Skin, width: float = 15.0, tip_y: float = 45.0) -> tuple[Shape, ...]:
    """A nose told by its shade: the bridge's soft side, the tip's light, wings, nostrils and the shadow below."""
    w, y = width, tip_y
    return (
        Shape(f"3,-14 9,0 10,20 {w},{y - 8} {w + 2},{y + 4} 4,{y - 4} 2,10", Linear((0, 10), (14, 12), ((clear(skin.shade, 0.0), 0), (clear(skin.shade, 0.65), 0.7), (clear(skin.shade, 0.0), 1))), depth=8),
        Shape(f"-5,-10 1,-10 3,{y - 14} -5,{y - 14}", Linear((-6, 0), (4, 0), ((clear(skin.light, 0), 0), (clear(skin.light, 0.8), 0.5), (clear(skin.light, 0), 1))), depth=10),
        Shape(f"-14,{y - 12} 10,{y - 12} 10,{y + 4} -14,{y + 4}", Radial((-2, y - 5), 11, soft(skin.light, 0.85), 0.8), depth=18),
        Shape(f"-{w + 1},{y + 1} -9,{y + 8} 0,{y + 10.5} 9,{y + 8} {w + 1},{y + 1} 8,{y + 5} 0,{y + 6.5} -8,{y + 5}", clear(skin.line, 0.42), depth=12),
        Shape(f"4,{y + 5.6} 8,{y + 2.6} 11.5,{y + 3.6} 9,{y + 6.8}", clear(skin.line, 0.85), mirror="twin", depth=12),
        Shape(f"{w - 2},{y - 9} {w + 2},{y - 3} {w},{y + 4}", clear(skin.line, 0.40), closed=False, taper=1.8, mirror="twin", depth=6),
        Shape(f"-16,{y + 6} 16,{y + 6} 12,{y + 20} -12,{y + 20}", Radial((1, y + 9), 16, soft(skin.shade, 0.55), 0.55), depth=6),
    )  # fmt: skip
