"""Cuts the person out of moving footage, for layouts over another background; used by the motion engine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from avatar.engines.base import Pixels
from avatar.face.segment import PersonSegmenter, open_segmenter

_CARRY = 0.35
_MOVED = 0.25


class Cutout:
    """Alpha of one frame after the other. Still edges are averaged over time, or they would boil."""

    def __init__(self) -> None:
        self._segmenter: PersonSegmenter | None = None
        self._last: npt.NDArray[np.float32] | None = None

    def mask(self, picture: Pixels) -> Pixels:
        """uint8 (h, w) for BGR (h, w, 3). Raises `face.unavailable` without MediaPipe."""
        self._segmenter = self._segmenter or open_segmenter()
        mask = self._segmenter.mask(picture)
        if self._last is not None and self._last.shape == mask.shape:
            still = np.abs(mask - self._last) < _MOVED
            mask = np.where(still, mask + _CARRY * (self._last - mask), mask).astype(np.float32)
        self._last = mask
        return np.asarray(np.rint(mask * 255), np.uint8)

    def close(self) -> None:
        if self._segmenter is not None:
            self._segmenter.close()
