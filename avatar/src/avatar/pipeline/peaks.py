"""Measures the waveform of a sound or video as a small JSON file; `avatar peaks` calls it.

The format is version 2 of audiowaveform's data format (BBC, doc/DataFormat.md): pairs of the least and the
greatest sample of each pixel, 8 bits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import ceil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avatar.encode.atomic import write_bytes
from avatar.encode.sound import Samples
from avatar.named_media import open_named_sound
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe
from avatar.spec import Finished, StageStarted

PIXELS_PER_S = 100
MAX_PIXELS = 10_000
LATEST_S = 3600.0
"""A sound that begins later than this after the file does is drawn from here."""

Pairs = npt.NDArray[np.float32]


def make_peaks(path: Path, target: Path, context: Context) -> Finished:
    """Write the peaks of the first sound stream, mixed to mono, at most 10 000 pairs.

    Raises InvalidInput `media.missing`, `media.unreadable`, `media.no_sound` and `audio.unmixable`.
    """
    context.tell(StageStarted(stage="prepare"))
    with open_named_sound(path, LATEST_S) as sound:
        rate_hz = sound.rate_hz
        step = max(1, round(rate_hz / PIXELS_PER_S))
        pairs = [np.zeros((round(sound.late_s * rate_hz / step), 2), np.float32)]
        for pair in _pairs(sound.blocks(rate_hz), step):
            context.check()
            pairs.append(pair)
    whole = np.concatenate(pairs)
    factor = max(1, ceil(len(whole) / MAX_PIXELS))
    peaks = _merge(whole, factor)
    data = {
        "version": 2, "channels": 1, "sample_rate": rate_hz, "samples_per_pixel": step * factor, "bits": 8,
        "length": len(peaks), "data": peaks.reshape(-1).tolist(),
    }  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, json.dumps(data, separators=(",", ":")).encode())
    duration_ms = round(len(whole) * step * 1000 / rate_hz)
    return Finished(files=(describe("peaks", target),), duration_ms=duration_ms, frames=0)


def _pairs(blocks: Iterator[Samples], step: int) -> Iterator[Pairs]:
    """Yields the least and greatest of every `step` samples, float (n, 2), full scale = 1."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate((rest, block))
        whole = len(rest) // step * step
        if whole:
            rows = rest[:whole].reshape(-1, step)
            yield np.stack((rows.min(axis=1), rows.max(axis=1)), axis=1)
            rest = rest[whole:]
    if len(rest):
        yield np.array([[rest.min(), rest.max()]], np.float32)


def _merge(pairs: Pairs, factor: int) -> npt.NDArray[np.int8]:
    """Returns every `factor` pairs as one, as 8-bit numbers (n, 2)."""
    missing = -len(pairs) % factor
    padded = np.concatenate((pairs, np.repeat(pairs[-1:], missing, axis=0)))
    rows = padded.reshape(-1, factor, 2)
    merged = np.stack((rows[:, :, 0].min(axis=1), rows[:, :, 1].max(axis=1)), axis=1)
    return np.asarray(np.clip(np.rint(merged * 127), -128, 127), np.int8)
