"""Texts, pictures and videos over the scene: when each is seen, where, and how far it has faded in."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

from avatar.compose.blend import Sprite
from avatar.compose.colour import Pixels
from avatar.compose.fitting import contain
from avatar.compose.fonts import Fonts
from avatar.compose.footage import footage
from avatar.compose.layout import Rect, place
from avatar.compose.text import TextStyle, drawable, text_in_box
from avatar.errors import InvalidInput
from avatar.spec import (
    Anchor,
    Canvas,
    ImageOverlay,
    MediaRef,
    Notice,
    Overlay,
    Scene,
    TextOverlay,
    TimeAnchor,
    VideoOverlay,
)
from avatar.tracks import Word

Warn = Callable[[Notice], None]
LARGEST_TEXT = 0.12
"""Text overlays grow up to this share of the canvas' height."""
MAX_CLOSE_WORDS = 3


@dataclass(slots=True)
class OverlayTrack:
    """One overlay in time. `pictures` gives a new picture per frame, or the same one again and again."""

    start_ms: int
    end_ms: int
    fade_ms: int
    opacity: float
    pictures: Iterator[Sprite]

    def at(self, ms: float) -> Sprite | None:
        """Returns the sprite at `ms`; called in the order of frames, because videos play along."""
        if not self.start_ms <= ms < self.end_ms:
            return None
        sprite = next(self.pictures)
        shown = self.opacity * self._faded(ms)
        return Sprite(sprite.pixels, sprite.x, sprite.y, shown) if shown > 0 else None

    def _faded(self, ms: float) -> float:
        fade = min(self.fade_ms, (self.end_ms - self.start_ms) / 2)
        if fade <= 0:
            return 1.0
        return min(1.0, (ms - self.start_ms + 1) / fade, (self.end_ms - ms) / fade)


def open_overlays(
    scene: Scene,
    words: Sequence[Word],
    duration_ms: int,
    canvas: Canvas,
    resolve: Callable[[MediaRef], Path],
    fonts: Fonts,
    warn: Warn,
) -> list[OverlayTrack]:
    """The overlays of a scene, bottom first. Raises `InvalidInput` for a word or a file that is not there."""
    tracks = []
    for number, overlay in enumerate(scene.overlays, start=1):
        start, end = span_ms(overlay, words, duration_ms, scene.id)
        if end <= start:
            warn(_never_shown(number, start, end, scene.id))
            continue
        box = place(overlay.box, canvas)
        if isinstance(overlay, TextOverlay):
            pictures: Iterator[Sprite] = repeat(_text(overlay, box, canvas, fonts, scene.id, warn))
        elif isinstance(overlay, ImageOverlay):
            pictures = repeat(_image(overlay, box, resolve))
        else:
            pictures = _video(overlay, box, canvas.fps, resolve)
        tracks.append(OverlayTrack(start, end, overlay.fade_ms, overlay.opacity, pictures))
    return tracks


def span_ms(overlay: Overlay, words: Sequence[Word], duration_ms: int, scene: str) -> tuple[int, int]:
    """Returns begin and end of an overlay in milliseconds of the scene; None for one that never shows.

    Raises `InvalidInput` (`overlay.word_not_found`).
    """
    start = anchor_ms(overlay.start, words, scene)
    end = duration_ms if overlay.end is None else anchor_ms(overlay.end, words, scene)
    return start, min(end, duration_ms)


FONTS_HINT = "On Debian: apt-get install fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji."


def warn_missing_glyphs(missing: Sequence[str], scene: str, warn: Warn) -> None:
    if not missing:
        return
    message = f"No font here can draw {' '.join(missing[:10])}. {FONTS_HINT}"
    warn(
        Notice(code="text.glyph_missing", message=message, scene=scene, details={"characters": missing[:100]})
    )


def warn_missing_font(font: str | None, fonts: Fonts, scene: str, warn: Warn) -> None:
    """Warns of a font that is not on this machine: another one is drawn."""
    if font is None or fonts.find_family(font) is not None:
        return
    close = difflib.get_close_matches(font, list(fonts.by_family), n=MAX_CLOSE_WORDS, cutoff=0.4)
    names = ", ".join(close or fonts.families[:1])
    message = f"The font {font} is not on this machine; {fonts.families[0]} is drawn. There are: {names}."
    warn(Notice(code="text.font_missing", message=message, scene=scene))


def _never_shown(number: int, start_ms: int, end_ms: int, scene: str) -> Notice:
    message = f"Overlay {number} is never seen: it begins at {start_ms} ms and ends at {end_ms} ms."
    return Notice(code="overlay.never_shown", message=message, scene=scene)


def _text(overlay: TextOverlay, box: Rect, canvas: Canvas, fonts: Fonts, scene: str, warn: Warn) -> Sprite:
    text, missing = drawable(overlay.text, fonts)
    warn_missing_glyphs(missing, scene, warn)
    style = TextStyle(overlay.colour, overlay.background, overlay.weight == "bold", overlay.align)
    return text_in_box(text, box, style, fonts, LARGEST_TEXT * canvas.height)


def _image(overlay: ImageOverlay, box: Rect, resolve: Callable[[MediaRef], Path]) -> Sprite:
    from avatar.face.pictures import read_picture

    return _centred(contain(read_picture(resolve(overlay.image)), box.width, box.height), box)


def _video(
    overlay: VideoOverlay, box: Rect, fps: int, resolve: Callable[[MediaRef], Path]
) -> Iterator[Sprite]:
    path = resolve(overlay.video)
    frames = footage(path, fps, loop=False, shown=overlay.video.name or path.name)
    first = next(frames)
    return (_centred(contain(frame, box.width, box.height), box) for frame in chain([first], frames))


def _centred(picture: Pixels, box: Rect) -> Sprite:
    height, width = picture.shape[:2]
    return Sprite(picture, box.x + (box.width - width) // 2, box.y + (box.height - height) // 2)


def anchor_ms(anchor: Anchor, words: Sequence[Word], scene: str) -> int:
    """Milliseconds from the start of the scene. A word anchor may name several words in a row.

    Raises `InvalidInput` (`overlay.word_not_found`) and names the closest words of the script.
    """
    if isinstance(anchor, TimeAnchor):
        return anchor.ms
    anchor_keys = [key for key in map(_key, anchor.word.split()) if key]
    spoken = [_key(word.text) for word in words]
    found = [
        i
        for i in range(len(spoken) - len(anchor_keys) + 1)
        if anchor_keys and spoken[i : i + len(anchor_keys)] == anchor_keys
    ]
    if len(found) < anchor.occurrence:
        raise _not_found(anchor.word, anchor.occurrence, len(found), words, scene)
    first = found[anchor.occurrence - 1]
    if anchor.edge == "start":
        return max(0, words[first].start_ms + anchor.offset_ms)
    return max(0, words[first + len(anchor_keys) - 1].end_ms + anchor.offset_ms)


def _key(word: str) -> str:
    """Returns a word as it is compared: without case, accents' spelling or marks around them."""
    folded = unicodedata.normalize("NFKC", word).casefold()
    return "".join(char for char in folded if unicodedata.category(char)[0] in "LNMS")


def _not_found(word: str, occurrence: int, times: int, words: Sequence[Word], scene: str) -> InvalidInput:
    if times:
        message = (
            f"An overlay of scene {scene} waits for “{word}” number {occurrence}; it is said {times} times."
        )
        return InvalidInput("overlay.word_not_found", message, f"Use an occurrence from 1 to {times}.")
    known = {_key(spoken.text): spoken.text for spoken in words}
    close = difflib.get_close_matches(_key(word), list(known), n=MAX_CLOSE_WORDS, cutoff=0.6)
    hint = (
        f"Close to it: {', '.join(known[key] for key in close)}."
        if close
        else "Use a word of the script, or a time."
    )
    return InvalidInput(
        "overlay.word_not_found",
        f"An overlay of scene {scene} waits for “{word}”, which is never said.",
        hint,
    )
