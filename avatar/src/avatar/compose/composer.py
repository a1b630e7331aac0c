"""Puts backdrop, speaker, overlays and captions together as planes; the frame loop calls it from several threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from avatar.compose.blend import Sprite, lay
from avatar.compose.colour import Pixels, Planes, to_planes
from avatar.compose.layout import Rect, merged
from avatar.engines.base import Layer

Mask = npt.NDArray[np.float32]


class Composer:
    """Holds what never changes as planes, so that a frame costs only the regions that differ from it.

    `backdrop` is uint8 BGR (h, w, 3); `box` is where the engine's picture lies, `engine_base` its static part,
    `mask` the shape the box is cut to.
    """

    def __init__(self, backdrop: Pixels, box: Rect, engine_base: Pixels | None = None, mask: Mask | None = None) -> None:
        self._canvas = Rect(0, 0, backdrop.shape[1], backdrop.shape[0])
        self._box = box
        self._engine_base = engine_base
        self._mask = mask
        self._behind = backdrop
        self._base = self._with_engine_base(backdrop)
        self._planes = to_planes(self._base)

    def paint(self, layer: Layer | None, overlays: Sequence[Sprite] = (), backdrop: Pixels | None = None) -> Planes:
        """The finished frame. `backdrop` takes the place of the static one for this frame.

        Safe to call from several threads at once.
        """
        speaker = None if layer is None else Sprite(layer.pixels, self._box.x + layer.x, self._box.y + layer.y)
        if backdrop is not None:
            return to_planes(self._patch(self._canvas, speaker, overlays, backdrop))
        regions = merged([sprite.rect.within(self._canvas).even(self._canvas) for sprite in overlays])
        if any(region == self._canvas for region in regions):
            return to_planes(self._patch(self._canvas, speaker, overlays))
        planes = self._with_speaker(speaker)
        if regions and planes is self._planes:
            planes = Planes(planes.y.copy(), planes.cb.copy(), planes.cr.copy())
        for region in regions:
            planes.put(region, to_planes(self._patch(region, speaker, overlays)))
        return planes

    def _with_speaker(self, speaker: Sprite | None) -> Planes:
        seen = Rect(0, 0, 0, 0) if speaker is None else speaker.rect.within(self._canvas)
        if speaker is None or seen.empty:
            return self._planes
        region = seen.even(self._canvas)
        if region == speaker.rect and speaker.pixels.shape[2] == 3 and self._mask is None:
            part = to_planes(speaker.pixels)  # nothing shows through: no blending, no copy
        else:
            part = to_planes(self._patch(region, speaker, ()))
        if region == self._canvas:
            return part
        planes = Planes(self._planes.y.copy(), self._planes.cb.copy(), self._planes.cr.copy())
        planes.put(region, part)
        return planes

    def _patch(
        self, region: Rect, speaker: Sprite | None, overlays: Sequence[Sprite], backdrop: Pixels | None = None
    ) -> Pixels:
        """BGR of one region of the frame, every layer in its order."""
        behind = self._behind if backdrop is None else backdrop
        base = self._base if backdrop is None else self._with_engine_base(backdrop)
        patch = base[region.rows, region.columns].copy()
        if speaker is not None:
            if self._mask is not None and speaker.pixels.shape[2] == 3:
                # The speaker's soft edge lies over the backdrop itself, not over the engine's base with the same edge.
                hole = speaker.rect.within(region)
                patch[hole.y - region.y :, hole.x - region.x :][: hole.height, : hole.width] = behind[hole.rows, hole.columns]
            lay(patch, region, speaker, self._mask_of(speaker))
        for sprite in overlays:
            lay(patch, region, sprite)
        return patch

    def _with_engine_base(self, backdrop: Pixels) -> Pixels:
        if self._engine_base is None:
            return backdrop
        canvas = backdrop.copy()
        lay(canvas, self._canvas, Sprite(self._engine_base, self._box.x, self._box.y), self._mask)
        return canvas

    def _mask_of(self, speaker: Sprite) -> Mask | None:
        if self._mask is None:
            return None
        x, y = speaker.x - self._box.x, speaker.y - self._box.y
        height, width = speaker.pixels.shape[:2]
        return self._mask[y : y + height, x : x + width]
