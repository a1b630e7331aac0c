"""How loud the speech is, frame by frame; read from the WAV in blocks so that length does not matter."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

WINDOW_S = 0.06
STEPS_PER_SECOND = 100
BLOCK_STEPS = 1000
LOUD_PERCENTILE = 85
FLOOR = 0.003
"""Below this root mean square (full scale = 1) nothing counts as speech: -50 dB."""


def power_per_step(wav: Path) -> npt.NDArray[np.float64]:
    """Mean square of each 10 ms of a 16-bit mono WAV, full scale = 1, shape (steps,)."""
    means: list[npt.NDArray[np.float64]] = []
    with wave.open(str(wav), "rb") as source:
        rate = source.getframerate()
        # Block borders follow the exact time: 22 050 Hz has 220.5 samples in a step.
        total = source.getnframes()
        for first in range(0, -(-total * STEPS_PER_SECOND // rate), BLOCK_STEPS):
            edges = np.arange(first, first + BLOCK_STEPS + 1) * rate // STEPS_PER_SECOND
            edges = np.minimum(edges, total)
            samples = np.frombuffer(source.readframes(int(edges[-1] - edges[0])), dtype="<i2")
            sums = np.concatenate(([0.0], np.cumsum((samples.astype(np.float64) / 32768.0) ** 2)))
            inner = np.minimum(edges - edges[0], len(samples))
            counts = np.diff(inner)
            means.append((np.diff(sums[inner]) / np.maximum(counts, 1))[counts > 0])
    return np.concatenate(means) if means else np.zeros(0)


def loudness(wav: Path, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Root mean square over 60 ms at `times` (seconds), 1 = the speech's loud parts (85th percentile), clipped to 0..1."""
    power = power_per_step(wav)
    if not len(power):
        return np.zeros(len(times))
    half = round(WINDOW_S * STEPS_PER_SECOND / 2)
    sums = np.concatenate(([0.0], np.cumsum(power)))
    middle = np.rint(times * STEPS_PER_SECOND).astype(np.intp)
    first = np.clip(middle - half, 0, len(power) - 1)
    last = np.clip(middle + half, first + 1, len(power))
    rms = np.sqrt(np.maximum(sums[last] - sums[first], 0.0) / (last - first))
    voiced = rms[rms > FLOOR]
    if not len(voiced):
        return np.zeros(len(times))
    return np.asarray(np.clip(rms / np.percentile(voiced, LOUD_PERCENTILE), 0.0, 1.0))
