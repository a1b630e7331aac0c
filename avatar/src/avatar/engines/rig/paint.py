"""Fills of the artwork as skia paints. Used by the compiler and by the moving parts."""

from __future__ import annotations

from functools import lru_cache

import skia

from avatar.engines.rig.artwork import Fill, Linear, Radial, Stops


@lru_cache(maxsize=4096)
def colour(text: str, alpha: float = 1.0) -> int:
    """ "#rrggbb" or "#rrggbbaa" as skia's 0xAARRGGBB."""
    digits = text.lstrip("#")
    opacity = int(digits[6:8], 16) if len(digits) == 8 else 255
    return (round(opacity * alpha) << 24) | int(digits[:6], 16)


def is_opaque(fill: Fill) -> bool:
    """Returns whether nothing shows through it."""
    texts = [fill] if isinstance(fill, str) else [text for text, _ in fill.stops]
    return all(colour(text) >> 24 == 255 for text in texts)


@lru_cache(maxsize=4096)
def blend(first: str, second: str, share: float) -> str:
    """`share` of the second colour mixed into the first, as "#rrggbb"."""
    a, b = first.lstrip("#"), second.lstrip("#")
    mixed = [round(int(a[k : k + 2], 16) * (1 - share) + int(b[k : k + 2], 16) * share) for k in (0, 2, 4)]
    return "#" + "".join(f"{part:02x}" for part in mixed)


@lru_cache(maxsize=4096)
def clear(text: str, alpha: float = 0.0) -> str:
    """The same colour with another opacity."""
    return f"#{text.lstrip('#')[:6]}{round(alpha * 255):02x}"


def soft(text: str, alpha: float) -> Stops:
    """Stops of a spot that fades out smoothly (a cosine-like fall, so that no rim shows)."""
    levels = ((0.0, 1.0), (0.25, 0.88), (0.5, 0.5), (0.75, 0.13), (1.0, 0.0))
    return tuple((clear(text, alpha * level), at) for at, level in levels)


def shader(fill: Linear | Radial) -> skia.Shader:
    """The gradient as a skia shader, in units."""
    colours = [colour(text) for text, _ in fill.stops]
    places = [at for _, at in fill.stops]
    if isinstance(fill, Linear):
        return skia.GradientShader.MakeLinear([fill.start, fill.end], colours, places)
    x, y = fill.centre
    matrix = skia.Matrix()
    matrix.setScale(1.0, fill.squash, x, y)
    return skia.GradientShader.MakeRadial(
        (x, y), fill.radius, colours, places, skia.TileMode.kClamp, 0, matrix
    )


def paint(fill: Fill, stroke: float = 0.0) -> skia.Paint:
    """An antialiased paint; `stroke` > 0 draws a round-ended line of that width instead of filling."""
    result = skia.Paint(AntiAlias=True)
    if isinstance(fill, str):
        result.setColor(colour(fill))
    else:
        result.setShader(shader(fill))
        # Besides smoothing gradients it keeps skia off its slow 16-bit pipeline: half the time per pixel.
        result.setDither(True)
    if stroke > 0:
        result.setStyle(skia.Paint.kStroke_Style)
        result.setStrokeWidth(stroke)
        result.setStrokeCap(skia.Paint.kRound_Cap)
        result.setStrokeJoin(skia.Paint.kRound_Join)
    return result
