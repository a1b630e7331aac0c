"""Puts the speaker on the canvas and turns the picture into planes; the frame loop calls it from several threads."""

from __future__ import annotations

import numpy as np

from avatar.compose.blend import over
from avatar.compose.colour import Pixels, Planes, to_planes
from avatar.compose.layout import Rect
from avatar.engines.base import Layer


class Composer:
    """Holds what never changes as planes, so that a frame costs only the region its layer covers.

    `base` is the canvas without the moving layer, uint8 BGR (h, w, 3); `box` is where the engine's picture lies.
    """

    def __init__(self, base: Pixels, box: Rect) -> None:
        self._base = base
        self._box = box
        self._planes = to_planes(base)
        self._canvas = Rect(0, 0, base.shape[1], base.shape[0])

    def paint(self, layer: Layer | None) -> Planes:
        """The finished frame. Safe to call from several threads at once."""
        if layer is None:
            return self._planes
        height, width = layer.pixels.shape[:2]
        at = Rect(self._box.x + layer.x, self._box.y + layer.y, width, height)
        seen = at.within(self._canvas)
        if seen.empty:
            return self._planes
        region = seen.even(self._canvas)
        pixels = layer.pixels[seen.y - at.y : seen.y - at.y + seen.height, seen.x - at.x : seen.x - at.x + seen.width]
        if pixels.shape[2] == 4 or region != seen:
            patch = self._base[region.rows, region.columns].copy()
            over(patch[seen.y - region.y :, seen.x - region.x :][: seen.height, : seen.width], pixels)
        else:
            patch = pixels
        if region == self._canvas:
            return to_planes(np.ascontiguousarray(patch))
        return self._patched(region, to_planes(patch))

    def _patched(self, region: Rect, patch: Planes) -> Planes:
        y, cb, cr = self._planes.y.copy(), self._planes.cb.copy(), self._planes.cr.copy()
        y[region.rows, region.columns] = patch.y
        half = region.halved()
        cb[half.rows, half.columns] = patch.cb
        cr[half.rows, half.columns] = patch.cr
        return Planes(y, cb, cr)
