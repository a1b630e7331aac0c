"""Captions drawn into the picture, cue by cue; the scene renderer asks for each frame in order."""

from __future__ import annotations

from collections.abc import Sequence

from avatar.compose.blend import Sprite
from avatar.compose.cues import Cue
from avatar.compose.fonts import Fonts
from avatar.compose.text import TextStyle, drawable, text_lines
from avatar.spec import Canvas, Captions

PANEL = "#000000a8"
SIZE_OF_HEIGHT = 0.046
WIDTH_PER_CHAR = 0.58
"""Mean width of a bold letter in font sizes."""
MARGIN_OF_HEIGHT = 0.06
USABLE_WIDTH = 0.92


class BurnedCaptions:
    """The captions of one scene. A caption is drawn once, when its time comes, and forgotten when it has
    passed.
    """

    def __init__(self, cues: Sequence[Cue], form: Captions, canvas: Canvas, fonts: Fonts) -> None:
        self._cues = cues
        self._canvas = canvas
        self._fonts = fonts
        self._style = TextStyle(colour=form.colour, panel=PANEL)
        self._size_px = min(
            SIZE_OF_HEIGHT * canvas.height,
            USABLE_WIDTH * canvas.width / (form.max_chars_per_line * WIDTH_PER_CHAR),
        )
        self._next = 0
        self._drawn: tuple[int, Sprite | None] | None = None

    def missing_glyphs(self) -> list[str]:
        return drawable("\n".join(line for cue in self._cues for line in cue.lines), self._fonts)[1]

    def at(self, ms: float) -> Sprite | None:
        """The caption seen at `ms`; to be asked in the order of frames."""
        while self._next < len(self._cues) and self._cues[self._next].end_ms <= ms:
            self._next += 1
        if self._next == len(self._cues) or self._cues[self._next].start_ms > ms:
            return None
        if self._drawn is None or self._drawn[0] != self._next:
            self._drawn = (self._next, self._draw(self._cues[self._next]))
        return self._drawn[1]

    def _draw(self, cue: Cue) -> Sprite | None:
        lines = tuple(line for line in (drawable(line, self._fonts)[0] for line in cue.lines) if line.strip())
        if not lines:
            return None
        canvas = self._canvas
        bottom = round(canvas.height * (1 - MARGIN_OF_HEIGHT))
        width = round(canvas.width * USABLE_WIDTH)
        return text_lines(lines, canvas.width // 2, bottom, self._size_px, width, self._style, self._fonts)
