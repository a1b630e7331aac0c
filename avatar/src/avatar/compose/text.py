"""Draws a block of text, shaped and in the right direction, as a picture to lay over frames."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import skia

from avatar.compose.blend import Sprite
from avatar.compose.colour import Pixels
from avatar.compose.fonts import Fonts
from avatar.compose.layout import Rect

MIN_FONT_PX = 3.0
_ALIGN = {"left": "kLeft", "centre": "kCenter", "right": "kRight"}
_RTL_BEGIN, _RTL_END = "\u2067", "\u2069"


@dataclass(frozen=True, slots=True)
class TextStyle:
    """Colours are `#rrggbb` or `#rrggbbaa`."""

    colour: str = "#ffffff"
    panel: str | None = None
    bold: bool = True
    align: Literal["left", "centre", "right"] = "centre"
    font: str | None = None
    outline: str | None = None
    outline_width: float = 0.12
    """Against the size of the letters."""


@dataclass(frozen=True, slots=True)
class Run:
    """Part of a line; without a colour in that of the style."""

    text: str
    colour: str | None = None


def text_in_box(text: str, box: Rect, style: TextStyle, fonts: Fonts, largest_px: float) -> Sprite:
    """`text` in the largest size, up to `largest_px`, that fits `box`, on a panel that fills the box."""
    side = min(box.height, box.width)
    pad_x, pad_y = (0, 0) if style.panel is None else (round(0.2 * side), round(0.12 * side))
    room = (max(1, box.width - 2 * pad_x), max(1, box.height - 2 * pad_y))
    size = largest_fit(text, room, style, fonts, largest_px)
    lines = as_runs(text)
    block = layout_text(lines, size, room[0], style, fonts)
    surface, pixels = blank(box.width, box.height)
    with surface as canvas:
        if style.panel is not None:
            panel(canvas, box.width, box.height, 0.08 * min(box.width, box.height), style.panel)
        at = (pad_x, pad_y + (room[1] - block.Height) / 2)
        paint_text(canvas, lines, block, at, size, room[0], style, fonts)
    return Sprite(straight(pixels), box.x, box.y)


def text_lines(
    lines: Sequence[Sequence[Run]],
    centre_x: int,
    bottom: int,
    size_px: float,
    width: int,
    style: TextStyle,
    fonts: Fonts,
) -> Sprite:
    """Caption lines, centred, on a panel that hugs them; the panel's lower edge lies at `bottom`."""
    while True:
        pad_x, pad_y = round(0.55 * size_px), round(0.28 * size_px)
        room = max(1, width - 2 * pad_x)
        block = layout_text(lines, size_px, room, style, fonts)
        if block.Height < 1.5 * size_px * len(lines) or size_px <= MIN_FONT_PX:
            break
        size_px *= 0.94  # a line was too long and broke in two
    shown = min(room, int(block.LongestLine) + 1)
    sprite_width, sprite_height = shown + 2 * pad_x, int(block.Height) + 1 + 2 * pad_y
    surface, pixels = blank(sprite_width, sprite_height)
    with surface as canvas:
        if style.panel is not None:
            panel(canvas, sprite_width, sprite_height, 0.3 * size_px, style.panel)
        paint_text(canvas, lines, block, (pad_x - (room - shown) / 2, pad_y), size_px, room, style, fonts)
    return Sprite(straight(pixels), centre_x - sprite_width // 2, bottom - sprite_height)


def drawable(text: str, fonts: Fonts) -> tuple[str, list[str]]:
    """`text` without symbols that no font can draw (an empty box says less than nothing) and without control
    characters, which no font should; and what is missing.

    Letters without a glyph stay: leaving them out would change the words.
    """
    text = _without_controls(text)
    missing = fonts.missing(text)
    gone = set(missing) - set(letters_of(missing))
    remaining = "".join(char for char in text if char not in gone)
    return ("\n".join(" ".join(line.split()) for line in remaining.split("\n")) if gone else text), missing


def letters_of(characters: Sequence[str]) -> list[str]:
    """Returns the letters of a text: all but emoji, other symbols and unassigned characters."""
    return [char for char in characters if unicodedata.category(char) not in ("So", "Sk", "Cn", "Co")]


def _without_controls(text: str) -> str:
    """Line ends of every kind become one, tabs spaces; a bell or an escape would be drawn as a box."""
    lines = (line.replace("\t", " ") for line in text.splitlines())
    return "\n".join("".join(char for char in line if unicodedata.category(char) != "Cc") for line in lines)


def largest_fit(text: str, room: tuple[int, int], style: TextStyle, fonts: Fonts, largest_px: float) -> float:
    longest_word = max(text.split(), key=len, default="")
    low, high = MIN_FONT_PX, max(MIN_FONT_PX, min(largest_px, float(room[1])))
    for _ in range(10):
        middle = (low + high) / 2
        block = layout_text(as_runs(text), middle, room[0], style, fonts)
        word = layout_text(as_runs(longest_word), middle, 10**6, style, fonts)
        if block.Height <= room[1] and word.LongestLine <= room[0]:
            low = middle
        else:
            high = middle
    return low


def as_runs(text: str) -> list[list[Run]]:
    """Lines of one run each, in the colour of the style."""
    return [[Run(line)] for line in text.split("\n")]


def paint_text(
    canvas: skia.Canvas,
    lines: Sequence[Sequence[Run]],
    block: skia.textlayout.Paragraph,
    at: tuple[float, float],
    size_px: float,
    width: float,
    style: TextStyle,
    fonts: Fonts,
) -> None:
    if style.outline is not None and style.outline_width > 0:
        # A stroke reaches as far inwards as outwards: the letters cover its inner half.
        layout_text(lines, size_px, width, style, fonts, stroke_px=2 * style.outline_width * size_px).paint(
            canvas, *at
        )
    block.paint(canvas, *at)


def layout_text(
    lines: Sequence[Sequence[Run]],
    size_px: float,
    width: float,
    style: TextStyle,
    fonts: Fonts,
    *,
    stroke_px: float = 0.0,
) -> skia.textlayout.Paragraph:
    layout = skia.textlayout
    families = fonts.families_for("".join(run.text for line in lines for run in line), style.font)

    def letters(colour: str) -> skia.textlayout.TextStyle:
        letters = layout.TextStyle()
        letters.setFontSize(size_px)
        letters.setFontFamilies(families)
        letters.setFontStyle(skia.FontStyle.Bold() if style.bold else skia.FontStyle.Normal())
        if stroke_px:
            outline = style.outline or colour
            letters.setForegroundPaint(stroke(outline, stroke_px, StrokeJoin=skia.Paint.kRound_Join))
        else:
            letters.setColor(argb(colour))
        return letters

    paragraph = layout.ParagraphStyle()
    paragraph.setTextStyle(letters(style.colour))
    paragraph.setTextAlign(getattr(layout.TextAlign, _ALIGN[style.align]))
    builder = layout.ParagraphBuilder.make(paragraph, fonts.collection, skia.Unicodes.ICU.Make())
    for number, line in enumerate(lines):
        begin, end = _direction_marks("".join(run.text for run in line))
        builder.pushStyle(letters(style.colour))
        builder.addText(("\n" if number else "") + begin)
        for run in line:
            if run.colour is None:
                builder.addText(run.text)
                continue
            builder.pushStyle(letters(run.colour))
            builder.addText(run.text)
            builder.pop()
        builder.addText(end)
        builder.pop()
    block = builder.Build()
    block.layout(width)
    return block


def _direction_marks(line: str) -> tuple[str, str]:
    """A line that begins right to left becomes one right-to-left run: its full stop ends up left."""
    first = next(
        (unicodedata.bidirectional(c) for c in line if unicodedata.bidirectional(c) in ("L", "R", "AL")), "L"
    )
    return ("", "") if first == "L" else (_RTL_BEGIN, _RTL_END)


def blank(width: int, height: int) -> tuple[skia.Surface, Pixels]:
    pixels = np.zeros((height, width, 4), np.uint8)
    return skia.Surface(pixels, skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType), pixels


def straight(pixels: Pixels) -> Pixels:
    """skia draws with premultiplied alpha."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_mRGBA2RGBA), dtype=np.uint8)


def panel(canvas: skia.Canvas, width: int, height: int, radius: float, colour: str) -> None:
    shape = skia.RRect.MakeRectXY(skia.Rect.MakeWH(width, height), radius, radius)
    canvas.drawRRect(shape, skia.Paint(Color=argb(colour), AntiAlias=True))


def stroke(colour: str, width: float, **form: Any) -> skia.Paint:
    """A brush for lines; `form` as `skia.Paint` takes it, such as StrokeCap."""
    return skia.Paint(
        Color=argb(colour), AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=width, **form
    )


def argb(colour: str) -> int:
    red, green, blue, alpha = rgba(colour)
    return int(skia.Color(red, green, blue, alpha))


def rgba(colour: str) -> tuple[int, int, int, int]:
    """`#rrggbb` or `#rrggbbaa` as four numbers."""
    digits = colour.lstrip("#").ljust(8, "f")
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16), int(digits[6:8], 16)
