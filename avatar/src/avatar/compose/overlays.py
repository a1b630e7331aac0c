"""Overlays of a scene over time, lowest first: anchors to moments, files and words to sprites."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, pairwise, repeat
from pathlib import Path

import cv2
import numpy as np

from avatar.compose.anchors import MAX_CLOSE_WORDS, Warn, moment_ms, span_ms
from avatar.compose.animation import animate
from avatar.compose.blend import Sprite
from avatar.compose.colour import Pixels
from avatar.compose.fitting import contain, cover
from avatar.compose.fonts import Fonts
from avatar.compose.footage import footage
from avatar.compose.graphics import (
    BoxedOverlay,
    area_of,
    arrow,
    highlight,
    list_sprites,
    lower_third,
    title_card,
)
from avatar.compose.layout import Rect, place
from avatar.compose.rotation import rotate
from avatar.compose.shapes import round_mask
from avatar.compose.text import TextStyle, drawable, text_in_box
from avatar.spec import (
    Animation,
    ArrowOverlay,
    Canvas,
    HighlightOverlay,
    ImageOverlay,
    ListOverlay,
    LowerThirdOverlay,
    MediaRef,
    Notice,
    Overlay,
    Scene,
    TextOverlay,
    TitleOverlay,
    VideoOverlay,
)
from avatar.tracks import Word

ITEM_ENTER = Animation(kind="slide_left", ms=350)
FONTS_HINT = "On Debian: apt-get install fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji."


@dataclass(slots=True)
class OverlayTrack:
    """One overlay in time. `pictures` gives a new picture per frame, or the same one again and again; `draw`
    takes its place where the picture grows while it comes, and is called with 0 to 1.
    """

    start_ms: int
    end_ms: int
    enter: Animation
    leave: Animation
    opacity: float
    canvas: Canvas
    pictures: Iterator[Sprite] = field(default_factory=lambda: iter(()))
    draw: Callable[[float], Sprite] | None = None
    _whole: Sprite | None = None

    def at(self, ms: float) -> Sprite | None:
        """Returns the sprite at `ms`; called in the order of frames, because videos play along."""
        if not self.start_ms <= ms < self.end_ms:
            return None
        half = (self.end_ms - self.start_ms) / 2
        come = _share(ms - self.start_ms + 1, min(self.enter.ms, half) if self.enter.kind != "none" else 0)
        gone = _share(self.end_ms - ms, min(self.leave.ms, half) if self.leave.kind != "none" else 0)
        if self.draw is not None:
            sprite = self._drawn(come)
        else:
            sprite = animate(next(self.pictures), self.enter, come, self.canvas)
        sprite = animate(sprite, self.leave, gone, self.canvas)
        shown = self.opacity * sprite.opacity
        return Sprite(sprite.pixels, sprite.x, sprite.y, shown) if shown > 0 else None

    def _drawn(self, come: float) -> Sprite:
        if self.draw is None:
            raise ValueError("this overlay is not drawn by progress")
        if come < 1:
            return self.draw(come)
        if self._whole is None:
            self._whole = self.draw(1.0)
        return self._whole


def _share(passed_ms: float, of_ms: float) -> float:
    return 1.0 if of_ms <= 0 else min(1.0, max(0.0, passed_ms / of_ms))


def open_overlays(
    scene: Scene,
    words: Sequence[Word],
    duration_ms: int,
    canvas: Canvas,
    resolve: Callable[[MediaRef], Path],
    fonts: Fonts,
    warn: Warn,
    over_all: tuple[Overlay, ...] = (),
) -> list[OverlayTrack]:
    """The overlays of a scene, bottom first; `over_all` are those of the film, which lie lowest.

    One whose word is not in the script any more is left out with a warning. Raises `InvalidInput` for a file
    that is not there.
    """
    opener = _Opener(scene.id, words, canvas, resolve, fonts, warn)
    found: list[tuple[int, OverlayTrack]] = []
    for number, overlay in enumerate((*over_all, *scene.overlays), start=1 - len(over_all)):
        missed: list[Notice] = []
        start, end = span_ms(overlay, words, duration_ms, scene.id, missed.append)
        for notice in missed:
            warn(notice)
        if end <= start:
            if not missed:
                warn(_never_shown(number, start, end, scene.id))
            continue
        found += [(overlay.z, track) for track in opener.tracks(overlay, start, end)]
    return [track for _, track in sorted(found, key=lambda one: one[0])]


@dataclass(frozen=True, slots=True)
class _Opener:
    scene: str
    words: Sequence[Word]
    canvas: Canvas
    resolve: Callable[[MediaRef], Path]
    fonts: Fonts
    warn: Warn

    def tracks(self, overlay: Overlay, start: int, end: int) -> Iterator[OverlayTrack]:
        """Yields what an overlay consists of: a list comes item by item."""
        track = partial(self._track, overlay, end)
        if isinstance(overlay, TextOverlay | TitleOverlay | LowerThirdOverlay | ListOverlay | ArrowOverlay):
            warn_missing_font(overlay.font, self.fonts, self.scene, self.warn)
            text = drawable(_words_of(overlay), self.fonts)
            warn_missing_glyphs(text[1], self.scene, self.warn)
        if isinstance(overlay, ListOverlay):
            panel, rows = list_sprites(overlay, self.canvas, self.fonts)
            rotated = partial(self._rotated, overlay)
            if panel is not None:
                yield track(start, rotated(panel))
            for begin, row in zip(self._item_starts(overlay, start, end), rows, strict=True):
                yield track(begin, rotated(row), enter=ITEM_ENTER)
        elif isinstance(overlay, ArrowOverlay):
            enter = overlay.enter or Animation(kind="fade", ms=600)
            grown = track(start, None, enter=enter)
            grown.draw = partial(arrow, overlay, self.canvas, self.fonts)
            yield grown
        elif isinstance(overlay, VideoOverlay):
            moving = track(start, None)
            frames = _video(overlay, place(overlay.box, self.canvas), self.canvas, self.resolve)
            moving.pictures = map(partial(self._rotated, overlay), frames)
            yield moving
        elif isinstance(overlay, HighlightOverlay):
            yield track(start, highlight(overlay, self.canvas))
        else:
            yield track(start, self._rotated(overlay, self._still(overlay)))

    def _track(
        self, overlay: Overlay, end: int, start: int, still: Sprite | None, *, enter: Animation | None = None
    ) -> OverlayTrack:
        fade = Animation(kind="fade", ms=overlay.fade_ms)
        return OverlayTrack(
            start,
            end,
            enter or overlay.enter or fade,
            overlay.leave or fade,
            overlay.opacity,
            self.canvas,
            iter(()) if still is None else repeat(still),
        )

    def _rotated(self, overlay: BoxedOverlay, sprite: Sprite) -> Sprite:
        """Returns the sprite at the angle of its overlay. It is rotated before it is animated: slides and
        wipes go along the picture, as they are named.
        """
        return rotate(sprite, overlay.rotation_deg, area_of(overlay, self.canvas))

    def _still(self, overlay: TextOverlay | ImageOverlay | TitleOverlay | LowerThirdOverlay) -> Sprite:
        if isinstance(overlay, TitleOverlay):
            return title_card(overlay, self.canvas, self.fonts)
        if isinstance(overlay, LowerThirdOverlay):
            return lower_third(overlay, self.canvas, self.fonts)
        box = place(overlay.box, self.canvas)
        if isinstance(overlay, ImageOverlay):
            return _image(overlay, box, self.resolve)
        style = TextStyle(
            overlay.colour, overlay.background, overlay.weight == "bold", overlay.align, overlay.font
        )
        text = drawable(overlay.text, self.fonts)[0]
        return text_in_box(text, box, style, self.fonts, overlay.size * self.canvas.height)

    def _item_starts(self, overlay: ListOverlay, start: int, end: int) -> list[int]:
        """Returns when each item comes: with its word, else evenly between its neighbours."""
        known = [
            None if item.at is None else moment_ms(item.at, self.words, self.scene, self.warn)
            for item in overlay.items
        ]
        stop = start + round(0.7 * (end - start))
        places = [-1, *(index for index, ms in enumerate(known) if ms is not None), len(known)]
        starts = [0] * len(known)
        for before, after in pairwise(places):
            begin = start if before < 0 else known[before] or 0
            until = max(begin, stop) if after == len(known) else known[after] or 0
            for index in range(max(before, 0), min(after, len(known) - 1) + 1):
                if known[index] is None:
                    starts[index] = round(begin + (until - begin) * (index - before) / (after - before))
                else:
                    starts[index] = known[index] or 0
        return [min(max(start, ms), end - 1) for ms in starts]


def _words_of(overlay: TextOverlay | TitleOverlay | LowerThirdOverlay | ListOverlay | ArrowOverlay) -> str:
    if isinstance(overlay, TextOverlay):
        return overlay.text
    if isinstance(overlay, TitleOverlay):
        return f"{overlay.title}\n{overlay.subtitle}"
    if isinstance(overlay, LowerThirdOverlay):
        return f"{overlay.name}\n{overlay.role}"
    if isinstance(overlay, ListOverlay):
        return "\n".join([overlay.heading, *(item.text for item in overlay.items)])
    return overlay.label


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


def _image(overlay: ImageOverlay, box: Rect, resolve: Callable[[MediaRef], Path]) -> Sprite:
    from avatar.face.pictures import read_picture

    return _fitted(overlay, read_picture(resolve(overlay.image)), box)


def _video(
    overlay: VideoOverlay, box: Rect, canvas: Canvas, resolve: Callable[[MediaRef], Path]
) -> Iterator[Sprite]:
    path = resolve(overlay.video)
    frames = footage(
        path,
        float(canvas.rate),
        loop=overlay.loop,
        shown=overlay.video.name or path.name,
        from_ms=overlay.from_ms,
        until_ms=overlay.until_ms,
    )
    first = next(frames)
    return (_fitted(overlay, frame, box) for frame in chain([first], frames))


def _fitted(overlay: ImageOverlay | VideoOverlay, picture: Pixels, box: Rect) -> Sprite:
    """The part of a picture that is shown, in its box."""
    if (part := overlay.crop) is not None:
        height, width = picture.shape[:2]
        left, top = min(width - 1, int(part.x * width)), min(height - 1, int(part.y * height))
        right, bottom = left + max(1, round(part.width * width)), top + max(1, round(part.height * height))
        picture = np.ascontiguousarray(picture[top:bottom, left:right])
    if overlay.fit == "contain":
        picture = contain(picture, box.width, box.height)
    elif overlay.fit == "cover":
        picture = cover(picture, box.width, box.height)
    else:
        size = (box.width, box.height)
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    height, width = picture.shape[:2]
    if overlay.corner_radius > 0:
        mask = round_mask(width, height, overlay.corner_radius * min(width, height))
        if picture.shape[2] == 4:
            mask = np.asarray(cv2.multiply(picture[..., 3], mask, scale=1 / 255), dtype=np.uint8)
        picture = np.ascontiguousarray(np.dstack([picture[..., :3], mask]))
    return Sprite(picture, box.x + (box.width - width) // 2, box.y + (box.height - height) // 2)
