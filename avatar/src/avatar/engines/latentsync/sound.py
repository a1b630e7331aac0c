"""Reads sound a piece at a time, from memory or from a file of any length, and silences what is no speech.

Pauses are silenced before the networks hear them, so that the mouth rests.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from avatar.engines.latentsync.shapes import SAMPLE_RATE_HZ

Samples = npt.NDArray[np.float32]
_BYTES = 4
STEP = SAMPLE_RATE_HZ // 50
"""20 ms."""
OPEN_BELOW_LOUD_DB = 30.0
CLOSE_BELOW_LOUD_DB = 38.0
"""Speech begins when a step is less than 30 dB below the loud parts, and ends below 38 dB (hysteresis)."""
FLOOR_DB = -55.0
BEFORE_STEPS = 4
AFTER_STEPS = 6
"""Sound around speech that is kept: breaths, and the closing of the lips."""
LEAST_PAUSE_STEPS = 10
_BLOCK_STEPS = 500


class Sound(Protocol):
    """float32 samples (n,) at 16 kHz, full scale 1: an array, or a file that is sliced like one."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Samples: ...


class SoundFile:
    """Bare float32 samples in a file. It is not mapped: pages of a map that were looked at count as memory
    of the process, and after a whole pass the sound lies in it from end to end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._samples = path.stat().st_size // _BYTES

    def __len__(self) -> int:
        return self._samples

    def __getitem__(self, part: slice, /) -> Samples:
        """A copy of that part; steps other than 1 are not known."""
        first, end, step = part.indices(self._samples)
        if step != 1:
            raise ValueError(f"a sound in a file is read sample by sample, not every {step}")
        count = max(0, end - first)
        return np.fromfile(self._path, np.float32, count=count, offset=first * _BYTES)


def speech_steps(sound: Sound) -> npt.NDArray[np.bool_]:
    """bool (steps,): whether each 20 ms holds speech, a margin and short pauses included."""
    level = _levels(sound)
    if not len(level) or level.max() < FLOOR_DB:
        return np.zeros(len(level), np.bool_)
    loud = float(np.percentile(level[level > FLOOR_DB], 90))
    opens, stays = level > max(FLOOR_DB, loud - OPEN_BELOW_LOUD_DB), level > loud - CLOSE_BELOW_LOUD_DB
    speech = np.zeros(len(level), np.bool_)
    speaking = False
    for index in range(len(level)):
        speaking = bool(opens[index] or (speaking and stays[index]))
        speech[index] = speaking
    for index in np.flatnonzero(speech):
        speech[max(0, index - BEFORE_STEPS) : index + AFTER_STEPS + 1] = True
    return _without_short_pauses(speech)


def without_pauses(sound: Sound, speech: npt.NDArray[np.bool_]) -> Iterator[Samples]:
    """The whole sound in blocks, everything else set to 0, with ramps of 20 ms inside the margin.

    A block is read when it is asked for and not again: it may be written over the one it was made of.
    """
    for first in range(0, max(1, len(speech)), _BLOCK_STEPS):
        last = first + _BLOCK_STEPS >= len(speech)
        block = sound[first * STEP : len(sound) if last else (first + _BLOCK_STEPS) * STEP]
        known = speech[max(0, first - 1) : first + _BLOCK_STEPS + 1].astype(np.float32)
        if not len(known):  # shorter than a step
            yield block
            return
        places = (np.arange(max(0, first - 1), max(0, first - 1) + len(known)) + 0.5) * STEP
        at = np.arange(first * STEP, first * STEP + len(block))
        yield block * np.interp(at, places, known).astype(np.float32)


def _levels(sound: Sound) -> npt.NDArray[np.float32]:
    levels = []
    for first in range(0, len(sound) - STEP + 1, STEP * _BLOCK_STEPS):
        block = sound[first : first + STEP * _BLOCK_STEPS]
        steps = block[: len(block) // STEP * STEP].reshape(-1, STEP)
        levels.append(10 * np.log10(np.mean(np.square(steps), axis=1) + 1e-12))
    return np.concatenate(levels).astype(np.float32) if levels else np.zeros(0, np.float32)


def _without_short_pauses(speech: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    edges = np.flatnonzero(np.diff(speech.astype(np.int8)))
    for end, start in pairwise(edges):
        if speech[end] and start - end < LEAST_PAUSE_STEPS:
            speech[end : start + 1] = True
    return speech
