"""Rectangles in pixels: where the speaker and the overlays lie on the canvas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from avatar.spec import Box, Canvas, Captions


@dataclass(frozen=True, slots=True)
class Rect:
    """Whole pixels; may reach outside the canvas until clipped with `within`."""

    x: int
    y: int
    width: int
    height: int

    @property
    def empty(self) -> bool:
        return self.width <= 0 or self.height <= 0

    @property
    def rows(self) -> slice:
        return slice(self.y, self.y + self.height)

    @property
    def columns(self) -> slice:
        return slice(self.x, self.x + self.width)

    def within(self, outer: Rect) -> Rect:
        """The part of this rectangle that lies in `outer`; empty when none does."""
        left, top = max(self.x, outer.x), max(self.y, outer.y)
        right = min(self.x + self.width, outer.x + outer.width)
        bottom = min(self.y + self.height, outer.y + outer.height)
        return Rect(left, top, max(0, right - left), max(0, bottom - top))

    def even(self, outer: Rect) -> Rect:
        """Grown to even corners, as 4:2:0 needs; `outer` has even sides, so the result stays inside it."""
        left, top = self.x & ~1, self.y & ~1
        right, bottom = (self.x + self.width + 1) & ~1, (self.y + self.height + 1) & ~1
        return Rect(left, top, right - left, bottom - top).within(outer)

    def around(self, other: Rect) -> Rect:
        """The smallest rectangle that holds both."""
        left, top = min(self.x, other.x), min(self.y, other.y)
        right = max(self.x + self.width, other.x + other.width)
        bottom = max(self.y + self.height, other.y + other.height)
        return Rect(left, top, right - left, bottom - top)

    def halve(self) -> Rect:
        """The same place in a chroma plane."""
        return Rect(self.x // 2, self.y // 2, self.width // 2, self.height // 2)


def merge_rects(rects: Iterable[Rect]) -> list[Rect]:
    """Rectangles that cover the given ones and do not overlap each other; empty ones are left out."""
    apart: list[Rect] = []
    for rect in rects:
        if rect.empty:
            continue
        touching = [other for other in apart if not rect.within(other).empty]
        while touching:
            apart = [other for other in apart if other not in touching]
            for other in touching:
                rect = rect.around(other)
            touching = [other for other in apart if not rect.within(other).empty]
        apart.append(rect)
    return apart


def place(box: Box, canvas: Canvas) -> Rect:
    """`box` in pixels of `canvas`, at least 2 x 2."""
    return Rect(
        round(box.x * canvas.width),
        round(box.y * canvas.height),
        max(2, round(box.width * canvas.width)),
        max(2, round(box.height * canvas.height)),
    )


SAFE_AREAS: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {
        "16:9": (0.05, 0.05, 0.05, 0.06),
        "9:16": (0.06, 0.08, 0.14, 0.20),
        "1:1": (0.06, 0.06, 0.06, 0.08),
    }
)
"""Left, top, right and bottom margins in shares of width and height, inside which words are neither cut by a
screen nor hidden by a player: EBU R 95's 5 % lying; upright the buttons and the title that players of short
videos lay over the right and the bottom.
"""


MAX_UPRIGHT_CHARS = 26
"""In a line of captions of 9:16, which phones show at a hand's width."""


def shape_of(canvas: Canvas) -> str:
    """The name of the safe area whose shape is nearest: 16:9, 9:16 or 1:1."""
    ratio = canvas.width / canvas.height
    return "16:9" if ratio > 1.3 else "9:16" if ratio < 0.8 else "1:1"


def line_chars(form: Captions, canvas: Canvas) -> int:
    """Returns how many characters a line of captions has at most."""
    return min(form.max_chars_per_line, MAX_UPRIGHT_CHARS if shape_of(canvas) == "9:16" else 80)


def face_of(box: Rect) -> Rect:
    """Returns where a face is expected in the box of its speaker, from the brows to the chin."""
    unit = min(box.height / 440, box.width / 345)
    eyes = round((0.425 if box.width >= box.height else 0.39) * box.height)
    half, above, below = (round(size * unit) for size in (75, 40, 96))
    return Rect(box.x + box.width // 2 - half, box.y + eyes - above, 2 * half, above + below)


def head_of(face: Rect) -> Rect:
    """Returns where the head of an expected face is, with hair: wider, and higher by nearly a face."""
    return Rect(
        face.x - face.width // 6,
        face.y - round(0.74 * face.height),
        face.width * 4 // 3,
        round(1.8 * face.height),
    )


def safe_area(canvas: Canvas) -> Rect:
    """Returns where words belong, in pixels."""
    left, top, right, bottom = SAFE_AREAS[shape_of(canvas)]
    x, y = round(left * canvas.width), round(top * canvas.height)
    return Rect(
        x,
        y,
        canvas.width - x - round(right * canvas.width),
        canvas.height - y - round(bottom * canvas.height),
    )
