"""Measures the loudness of speech frame by frame; read from the WAV in blocks, of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from avatar.speech.sound import STEPS_PER_SECOND, power

WINDOW_S = 0.06
LOUD_PERCENTILE = 85
FLOOR = 0.003
"""Below this root mean square (full scale = 1) nothing counts as speech: -50 dB."""


def loudness(wav: Path, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Root mean square over 60 ms at `times` (seconds), 1 = the speech's loud parts (85th percentile),
    clipped to 0..1.
    """
    levels = power(wav)
    if not len(levels):
        return np.zeros(len(times))
    half = round(WINDOW_S * STEPS_PER_SECOND / 2)
    sums = np.concatenate(([0.0], np.cumsum(levels)))
    middle = np.rint(times * STEPS_PER_SECOND).astype(np.intp)
    first = np.clip(middle - half, 0, len(levels) - 1)
    last = np.clip(middle + half, first + 1, len(levels))
    rms = np.sqrt(np.maximum(sums[last] - sums[first], 0.0) / (last - first))
    voiced = rms[rms > FLOOR]
    if not len(voiced):
        return np.zeros(len(times))
    return np.asarray(np.clip(rms / np.percentile(voiced, LOUD_PERCENTILE), 0.0, 1.0))
