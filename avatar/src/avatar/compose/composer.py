"""Puts backdrop, speaker and overlays together as planes; the frame loop calls it from several threads."""

from __future__ import annotations

from collections.abc import Sequence
from queue import Empty, SimpleQueue

from avatar.compose.blend import Sprite, composite_over, lay, visible
from avatar.compose.colour import Pixels, Planes
from avatar.compose.layout import Rect, merge_rects
from avatar.engines.base import Layer

SPEAKER_ROWS = 192
"""Low enough to follow the outline of a person who is cut out, high enough to cost few calls."""


class Composer:
    """Holds what never changes as planes, so that a frame costs only the regions that differ from it.

    `backdrop` is uint8 BGR (h, w, 3); `box` is where the engine's picture lies, `engine_base` its static
    part, `mask` the shape the box is cut to. `paint` may be called from several threads at once.
    """

    def __init__(
        self, backdrop: Pixels, box: Rect, engine_base: Pixels | None = None, mask: Pixels | None = None
    ) -> None:
        self._canvas = Rect(0, 0, backdrop.shape[1], backdrop.shape[0])
        self._box = box
        self._engine_base = engine_base
        self._mask = mask
        self._behind = backdrop
        self._base = self._with_engine_base(backdrop)
        self._static = Planes.of(self._base)
        self._spare: SimpleQueue[Planes] = SimpleQueue()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of its frames."""
        return self._canvas.width, self._canvas.height

    def paint(
        self,
        layer: Layer | None,
        overlays: Sequence[Sprite] = (),
        backdrop: Pixels | None = None,
        onto: Planes | None = None,
    ) -> Planes:
        """The finished frame, to be given back with `recycle` once it is encoded.

        `backdrop` takes the place of the static one for this frame. `onto` is where it is painted; without
        it in memory of our own.
        """
        speaker = self._on_canvas(layer)
        regions = merge_rects(sprite.rect.within(self._canvas).even(self._canvas) for sprite in overlays)
        if not speaker and not regions and backdrop is None and onto is None:
            return self._static
        planes = self._blank() if onto is None else onto
        if backdrop is not None or self._canvas in regions:
            planes.put(self._canvas, self._patch(self._canvas, speaker, overlays, backdrop))
            planes.painted = (self._canvas,)
            return planes
        areas = [sprite.rect.within(self._canvas).even(self._canvas) for sprite in speaker]
        self._restore(planes, areas)
        for sprite, area in zip(speaker, areas, strict=True):
            planes.put(area, self._speaker_patch(area, sprite))
        for region in regions:
            planes.put(region, self._patch(region, speaker, overlays))
        planes.painted = (*areas, *regions)
        return planes

    def recycle(self, planes: Planes) -> None:
        """Take back a frame of `paint`: new memory for each would cost more than drawing a small layer."""
        if planes is not self._static:
            self._spare.put(planes)

    def _on_canvas(self, layer: Layer | None) -> list[Sprite]:
        """The parts of the layer that can be seen; no two of them touch the same block of four pixels."""
        if layer is None:
            return []
        sprite = Sprite(layer.pixels, self._box.x + layer.x, self._box.y + layer.y)
        parts = visible(sprite, SPEAKER_ROWS)
        return [part for part in parts if not part.rect.within(self._canvas).empty]

    def _restore(self, planes: Planes, areas: Sequence[Rect]) -> None:
        """Make it the static picture again, but for what will be painted over anyway.

        A speaker covers much the same areas in every frame, so most often little is left to do.
        """
        for part in planes.painted:
            if not any(part.within(area) == part for area in areas):
                planes.copy_from(self._static, part)

    def _speaker_patch(self, area: Rect, part: Sprite) -> Pixels:
        """BGR of an area that nothing but a part of the speaker lies over."""
        simple = part.pixels.shape[2] == 4 or self._mask is None
        if area == part.rect and simple:
            return composite_over(self._base[area.rows, area.columns], part, self._mask_of(part))
        return self._patch(area, [part], ())

    def _patch(
        self,
        region: Rect,
        speaker: Sequence[Sprite],
        overlays: Sequence[Sprite],
        backdrop: Pixels | None = None,
    ) -> Pixels:
        """BGR of one region of the frame, every layer in its order."""
        behind = self._behind if backdrop is None else backdrop
        base = self._base if backdrop is None else self._with_engine_base(backdrop)
        patch = base[region.rows, region.columns].copy()
        for part in speaker:
            if self._mask is not None and part.pixels.shape[2] == 3:
                # The soft edge lies over the backdrop itself, not over the engine's base with the same edge.
                hole = part.rect.within(region)
                inside = patch[hole.y - region.y :, hole.x - region.x :][: hole.height, : hole.width]
                inside[...] = behind[hole.rows, hole.columns]
            lay(patch, region, part, self._mask_of(part))
        for sprite in overlays:
            lay(patch, region, sprite)
        return patch

    def _with_engine_base(self, backdrop: Pixels) -> Pixels:
        if self._engine_base is None:
            return backdrop
        canvas = backdrop.copy()
        lay(canvas, self._canvas, Sprite(self._engine_base, self._box.x, self._box.y), self._mask)
        return canvas

    def _mask_of(self, speaker: Sprite) -> Pixels | None:
        if self._mask is None:
            return None
        x, y = speaker.x - self._box.x, speaker.y - self._box.y
        height, width = speaker.pixels.shape[:2]
        return self._mask[y : y + height, x : x + width]

    def _blank(self) -> Planes:
        try:
            return self._spare.get_nowait()
        except Empty:
            return Planes(self._canvas.width, self._canvas.height)
