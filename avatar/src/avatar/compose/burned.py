"""Captions drawn into the picture, cue by cue; the scene renderer reads them frame by frame in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from avatar.compose.blend import Sprite
from avatar.compose.cues import Cue, CueWord
from avatar.compose.fonts import Fonts
from avatar.compose.layout import Rect, line_chars, safe_area
from avatar.compose.text import Run, TextStyle, drawable, text_lines
from avatar.spec import Canvas, Captions

WIDTH_PER_CHAR = 0.58
"""Mean width of a bold letter in font sizes."""
LINE_HEIGHT = 1.35
"""Of a line in its box, in font sizes."""
Place = Literal["bottom", "middle", "top"]


class BurnedCaptions:
    """The captions of one scene. A caption is drawn once, when its time comes, and forgotten when it has
    passed; with a highlight once for each of its words.
    """

    def __init__(
        self, cues: Sequence[Cue], form: Captions, canvas: Canvas, fonts: Fonts, taken: Sequence[Rect] = ()
    ) -> None:
        self._cues = cues
        self._fonts = fonts
        look = form.style
        self._highlight = look.highlight
        self._style = TextStyle(
            colour=form.colour,
            panel=look.box,
            bold=look.weight == "bold",
            font=look.font,
            outline=look.outline,
            outline_width=look.outline_width,
        )
        safe = safe_area(canvas)
        # In the middle of the picture, also where one side is less safe than the other.
        margin = max(safe.x, canvas.width - safe.x - safe.width)
        self._area = Rect(margin, safe.y, canvas.width - 2 * margin, safe.height)
        self._size_px = min(
            look.size * max(canvas.height, 0.6 * canvas.width),
            self._area.width / (line_chars(form, canvas) * WIDTH_PER_CHAR),
        )
        self._place = self._free_place(look.place, form.max_lines, taken)
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
        return Sprite(sprite.pixels, sprite.x, self._top(self._place, sprite.pixels.shape[0]))

    def _top(self, place: Place, height: int) -> int:
        room = self._area.height - height
        return self._area.y + {"bottom": room, "middle": room // 2, "top": 0}[place]

    def _free_place(self, chosen: Place, lines: int, taken: Sequence[Rect]) -> Place:
        """Returns the chosen place, or the lowest one where captions cover nothing that is taken, if any."""
        height = round(lines * LINE_HEIGHT * self._size_px)
        places: tuple[Place, ...] = (chosen, "bottom", "middle", "top")
        for place in places:
            across = Rect(self._area.x, self._top(place, height), self._area.width, height)
            if all(one.within(across).empty for one in taken):
                return place
        return chosen


def _spoken(words: Sequence[CueWord], ms: float) -> int:
    """The index of the word that is spoken at `ms`, or was last; -1 before the first."""
    return sum(word.start_ms <= ms for word in words) - 1
