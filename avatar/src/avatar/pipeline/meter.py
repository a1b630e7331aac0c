"""Counts frames and tells how fast they come; the frame loop calls it once per frame."""

from __future__ import annotations

import time
from collections.abc import Callable

from avatar.spec import FrameProgress

SECONDS_BETWEEN_LINES = 0.25


class FrameMeter:
    """Says so at most four times a second, and once more at the last frame."""

    def __init__(self, tell: Callable[[FrameProgress], None], scene: str | None, total: int) -> None:
        self._tell = tell
        self._scene = scene
        self._total = total
        self._done = 0
        self._started = self._told = time.monotonic()

    def count(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._told < SECONDS_BETWEEN_LINES and self._done < self._total:
            return
        self._told = now
        fps = self._done / max(now - self._started, 1e-6)
        self._tell(
            FrameProgress(
                scene=self._scene,
                done_frames=self._done,
                total_frames=self._total,
                fps=round(fps, 1),
                eta_s=round((self._total - self._done) / fps, 1),
            )
        )
