"""Captions drawn into the picture, cue by cue; the scene renderer reads them frame by frame in order."""

from __future__ import annotations

from collections.abc import Sequence

from avatar.compose.blend import Sprite
from avatar.compose.cues import Cue, CueWord
from avatar.compose.fonts import Fonts
from avatar.compose.layout import safe_area
from avatar.compose.text import Run, TextStyle, drawable, text_lines
from avatar.spec import Canvas, Captions

WIDTH_PER_CHAR = 0.58
"""Mean width of a bold letter in font sizes."""


class BurnedCaptions:
    """The captions of one scene. A caption is drawn once, when its time comes, and forgotten when it has
    passed; with a highlight once for each of its words.
    """

    def __init__(self, cues: Sequence[Cue], form: Captions, canvas: Canvas, fonts: Fonts) -> None:
        self._cues = cues
        self._fonts = fonts
        look = form.style
        self._place = look.place
        self._highlight = look.highlight
        self._style = TextStyle(
            colour=form.colour,
            panel=look.box,
            bold=look.weight == "bold",
            font=look.font,
            outline=look.outline,
            outline_width=look.outline_width,
        )
        self._area = safe_area(canvas)
        self._size_px = min(
            look.size * max(canvas.height, 0.6 * canvas.width),
            self._area.width / (form.max_chars_per_line * WIDTH_PER_CHAR),
        )
        self._next = 0
        self._drawn: tuple[tuple[int, int], Sprite | None] | None = None

    def missing_glyphs(self) -> list[str]:
        return drawable("\n".join(line for cue in self._cues for line in cue.lines), self._fonts)[1]

    def at(self, ms: float) -> Sprite | None:
        """The caption seen at `ms`; to be called in the order of frames."""
        while self._next < len(self._cues) and self._cues[self._next].end_ms <= ms:
            self._next += 1
        if self._next == len(self._cues) or self._cues[self._next].start_ms > ms:
            return None
        cue = self._cues[self._next]
        spoken = -1 if self._highlight is None else _spoken(cue.words, ms)
        if self._drawn is None or self._drawn[0] != (self._next, spoken):
            self._drawn = ((self._next, spoken), self._draw(cue, spoken))
        return self._drawn[1]

    def _draw(self, cue: Cue, spoken: int) -> Sprite | None:
        lines: list[list[Run]] = [[] for _ in cue.lines]
        for number, word in enumerate(cue.words):
            text = drawable(word.text, self._fonts)[0]
            if text.strip():
                spaced = word.spaced and bool(lines[word.line])
                colour = self._highlight if number == spoken else None
                lines[word.line].append(Run((" " if spaced else "") + text, colour))
        shown = [line for line in lines if line]
        if not shown:
            return None
        area = self._area
        sprite = text_lines(
            shown,
            area.x + area.width // 2,
            area.y + area.height,
            self._size_px,
            area.width,
            self._style,
            self._fonts,
        )
        height = sprite.pixels.shape[0]
        tops = {
            "bottom": sprite.y,
            "middle": area.y + (area.height - height) // 2,
            "top": area.y,
        }
        return Sprite(sprite.pixels, sprite.x, tops[self._place])


def _spoken(words: Sequence[CueWord], ms: float) -> int:
    """The index of the word that is spoken at `ms`, or was last; -1 before the first."""
    return sum(word.start_ms <= ms for word in words) - 1
