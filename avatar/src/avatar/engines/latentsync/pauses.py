"""Lets the filmed mouth rest where nobody speaks and the filmed lips are shut (`pauses` of a face).

What a checkpoint draws for silence is its own doing; lips that were filmed shut are shut. Strengths are
planned a few frames ahead, so that the drawn mouth is back before speech begins or filmed lips open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from avatar.engines.latentsync.shapes import SAMPLE_RATE_HZ
from avatar.engines.latentsync.sound import STEP

Flags = npt.NDArray[np.bool_]
T = TypeVar("T")

FADE_S = 0.2
LEAST_FADE_FRAMES = 4
SHUT_LIPS, OPEN_LIPS = 0.03, 0.06
"""Gap over width of a mouth: shut below the one, and until it is above the other."""


def fade_frames(fps: int) -> int:
    """Frames that are neither drawn nor filmed alone, on either side of a rest."""
    return max(LEAST_FADE_FRAMES, round(FADE_S * fps))


def pause_frames(speech: Flags, frames: int, fps: int) -> Flags:
    """bool (frames,): whether no part of a frame holds speech. speech: see `sound.speech_steps`."""
    steps_a_frame = SAMPLE_RATE_HZ / STEP / fps
    speech_before = np.concatenate([[0], np.cumsum(speech)])
    first = np.floor(np.arange(frames) * steps_a_frame).astype(int)
    last = np.ceil(np.arange(1, frames + 1) * steps_a_frame).astype(int)
    return np.asarray(
        speech_before[np.minimum(last, len(speech))] == speech_before[np.minimum(first, len(speech))]
    )


@dataclass(slots=True)
class LipState:
    """Detects shut lips in footage by a threshold with hysteresis."""

    shut: bool = False

    def update(self, opening: float) -> bool:
        """`opening`: see `lip_opening`; NaN where there is no face, which is no shut mouth."""
        self.shut = opening < (OPEN_LIPS if self.shut else SHUT_LIPS)
        return self.shut


@dataclass(slots=True)
class PauseFader(Generic[T]):
    """Gives each frame with how much of the drawn mouth it shows, 0..1. A rest is as long as both fades and a
    frame at least, or goes on to the end of the clip; where that begins or ends in one nothing fades on that
    side. fade: see `fade_frames`.
    """

    fade: int
    _ahead: deque[tuple[T, bool]] = field(default_factory=deque)
    _since: float = float("inf")
    """Frames since one that must be drawn."""
    _resting: bool = False

    @property
    def least(self) -> int:
        return 2 * self.fade + 1

    def apply(self, frames: Iterable[tuple[T, bool]]) -> Iterator[tuple[T, float]]:
        """frames: each with whether it may rest. At most `least` are held."""
        for frame in frames:
            self._ahead.append(frame)
            if len(self._ahead) > self.least:
                yield self._next()
        while self._ahead:
            yield self._next()

    def _next(self) -> tuple[T, float]:
        until = next((n for n, (_, may) in enumerate(self._ahead) if not may), None)
        frame, may_rest = self._ahead.popleft()
        if not may_rest:
            self._since, self._resting = 0, False
            return frame, 1.0
        self._since += 1
        # Decided once, at its first frame: it is known then how long it will be.
        self._resting = self._resting or (
            self._since in (1, float("inf")) and (until is None or until >= self.least)
        )
        if not self._resting:
            return frame, 1.0
        away = min(self._since, float("inf") if until is None else until)
        return frame, max(0.0, 1.0 - away / (self.fade + 1))
