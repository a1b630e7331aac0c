"""Ears, nose, neck and soft shading of the face, drawn from a character's skin colours. Used by the character
files.
"""

# ruff: noqa: E501 (outlines and gradients are rows of a table: they read best unbroken)

from __future__ import annotations

import math

import numpy as np

from avatar.engines.rig import geometry
from avatar.engines.rig.artwork import Linear, Radial, Shape, Skin
from avatar.engines.rig.paint import blend, clear, soft


def ears(skin: Skin, x: float = 75.0, y: float = 16.0, size: float = 1.0) -> tuple[Shape, ...]:
    def knots(points: tuple[tuple[float, float], ...]) -> str:
        return " ".join(f"{x + px * size:.2f},{y + py * size:.2f}" for px, py in points)

    outer = ((-8, -16), (1, -26), (10, -24), (14, -12), (11, 4), (6, 18), (1, 27), (-5, 28), (-9, 20))
    fold = ((-2, -14), (4, -20), (9, -15), (8, -4), (4, 8))
    bowl = ((-6, -4), (0, -9), (3, -2), (1, 9), (-3, 14), (-7, 10))
    return (
        Shape(
            knots(outer),
            Linear((x - 8, y), (x + 12, y), ((blend(skin.base, skin.shade, 0.8), 0), (skin.base, 1))),
            mirror="twin", lift=0.0, depth=-2.0,
        ),
        Shape(knots(fold), clear(skin.line, 0.38), closed=False, taper=2.6 * size, mirror="twin", lift=0, depth=-2.0),
        Shape(knots(bowl), clear(skin.deep, 0.42), mirror="twin", lift=0.0, depth=-2.0),
    )  # fmt: skip


def neck(skin: Skin, width: float = 40.0, chin: float = 116.0) -> tuple[Shape, ...]:
    """The neck, the collar bones, and the shadow of the chin."""
    w = width
    return (
        Shape(
            f"0,80 {w - 3},81 {w - 2},105 {w - 1},132 {w + 5},158 {w + 20},186 {w + 8},222 0,240",
            Linear((-20, 0), (60, 0), ((skin.base, 0), (blend(skin.base, skin.shade, 0.9), 1))),
            mirror="half",
        ),
        Shape(
            f"-{w},{chin - 36} {w},{chin - 36} {w - 1.5},{chin + 4} {w * 0.86},{chin + 22} {w * 0.4},{chin + 36} 0,{chin + 40} {-w * 0.5},{chin + 34} {-w * 0.92},{chin + 16} {-w + 1.5},{chin}",
            Linear((0, chin - 6), (6, chin + 40), ((clear(skin.deep, 0.82), 0), (clear(skin.deep, 0.36), 1))),
        ),
        Shape("13,196 34,187 62,184", clear(skin.shade, 0.55), closed=False, taper=3.4, mirror="twin"),
    )  # fmt: skip


def face(skin: Skin, outline: str, chin: float = 116.0, blush: float = 0.35) -> tuple[Shape, ...]:
    """The face itself and its light: from the picture's upper left, with blush and a soft shaded side."""
    return (
        Shape(
            outline,
            # Two stops: skia draws longer gradients at half the speed, and this is the largest one.
            Radial((-26, -22), 150, ((blend(skin.light, skin.base, 0.42), 0), (blend(skin.base, skin.shade, 0.72), 1))),
            mirror="half", lift=0.55, jaw=1.0, name="face",
        ),
        Shape("14,40 46,14 78,40 60,70 30,70", Radial((45, 40), 31, soft(skin.blush, blush), 0.82), mirror="twin", inside="face"),
        Shape("-70,18 -20,18 -20,46 -70,46", Radial((-45, 29), 22, soft(skin.light, 0.60), 0.55), inside="face"),
        Shape("22,18 68,18 68,44 22,44", Radial((42, 29), 18, soft(skin.light, 0.34), 0.55), inside="face"),
        Shape(f"-22,{chin - 28} 22,{chin - 28} 22,{chin} -22,{chin}", Radial((-4, chin - 14), 15, soft(skin.light, 0.55), 0.72), jaw=1.0),
        Shape(f"-60,{chin + 14} -40,{chin - 14} 40,{chin - 14} 60,{chin + 14}", Radial((4, chin + 8), 46, soft(skin.deep, 0.42), 0.36), jaw=1.0, inside="face"),
    )  # fmt: skip


def nose(skin: Skin, width: float = 14.0, tip_y: float = 41.0) -> tuple[Shape, ...]:
    """A nose told by its shade: the bridge's soft side, the tip's light, wings, nostrils and the shadow
    below.
    """
    w, y = width, tip_y
    mid = y / 2
    return (
        Shape(f"-2,-26 20,-26 22,{y} -2,{y}", Radial((9.5, mid - 6), 9.5, soft(skin.shade, 0.46), 3.4), depth=6),
        Shape(f"-20,-22 -6,-22 -6,{y} -20,{y}", Radial((-12, mid - 4), 6, soft(skin.shade, 0.20), 4.2), depth=6),
        Shape(f"-10,-24 8,-24 8,{y} -10,{y}", Radial((-1.5, mid - 2), 6.2, soft(skin.light, 0.70), 3.8), depth=10),
        Shape(f"-{w + 5},{y - 12} {w + 5},{y - 12} {w + 5},{y + 16} -{w + 5},{y + 16}", Radial((2, y + 6), w + 5, soft(skin.shade, 0.62), 0.55), depth=10),
        Shape(f"-14,{y - 13} 12,{y - 13} 12,{y + 6} -14,{y + 6}", Radial((-1.5, y - 3.5), 9.5, soft(skin.light, 0.95), 0.78), depth=18),
        Shape(f"{w - 1.2},{y - 5.5} {w + 1.6},{y - 0.5} {w - 0.6},{y + 5.2}", clear(skin.line, 0.36), closed=False, taper=1.7, mirror="twin", depth=6),
        Shape(f"3.4,{y + 5.4} 6.2,{y + 3.0} 9.6,{y + 3.0} 11.2,{y + 4.6} 8.6,{y + 6.4} 5.2,{y + 6.8}", clear(skin.line, 0.80), mirror="twin", depth=12),
        Shape(f"-{w - 4},{y + 7.4} -4,{y + 8.4} 0,{y + 9.4} 4,{y + 8.4} {w - 4},{y + 7.4}", clear(skin.line, 0.30), closed=False, taper=1.8, depth=14),
    )  # fmt: skip


def circle(x: float, y: float, radius: float, squash: float = 1.0) -> str:
    """An ellipse as an outline."""
    around = (k * math.pi / 4 for k in range(8))
    return " ".join(f"{x + radius * math.cos(a):.2f},{y + squash * radius * math.sin(a):.2f}" for a in around)


def scallop(outline: str, bump: float, spacing: float, above: float) -> str:
    """The same closed outline with small round bumps where it lies above `above` (units): the edge of curly
    hair.
    """
    points, corners = geometry.knots(outline)
    dense = geometry.sample(geometry.bezier(points, corners, closed=True), 12)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))])
    at = np.linspace(0.0, along[-1], 2 * round(along[-1] / spacing / 2), endpoint=False)
    ring = np.stack([np.interp(at, along, dense[:, k]) for k in (0, 1)], axis=1)
    step = np.roll(ring, -1, axis=0) - np.roll(ring, 1, axis=0)
    outward = np.stack([step[:, 1], -step[:, 0]], axis=1) / np.linalg.norm(step, axis=1, keepdims=True)
    centre = ring.mean(axis=0)
    if np.sum(outward * (ring - centre)) < 0:
        outward = -outward
    words = []
    for index, (x, y) in enumerate(ring):
        if y < above and index % 2:
            x, y = ring[index] + bump * outward[index]
        words.append(f"{x:.2f},{y:.2f}" + ("!" if y < above and index % 2 == 0 else ""))
    return " ".join(words)


def translate_outline(outline: str, dx: float, dy: float) -> str:
    """The same outline elsewhere: for shadows that a lock or a collar throws."""
    words = []
    for word in outline.split():
        x, y = word.rstrip("!").split(",")
        words.append(f"{float(x) + dx:g},{float(y) + dy:g}" + ("!" if word.endswith("!") else ""))
    return " ".join(words)
