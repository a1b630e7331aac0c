"""Reads and writes the 16-bit mono WAV files of the worker in blocks: length never shows in memory."""

from __future__ import annotations

import math
import struct
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
Levels = npt.NDArray[np.float64]
"""Mean square of each 10 ms of a sound, full scale = 1, shape (steps,)."""

STEPS_PER_SECOND = 100
BLOCK_S = 10


class WavWriter:
    """Appends 16-bit mono samples; the file ends on a whole millisecond so that no reader has to round its
    length.
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.samples = 0
        """Samples written so far."""
        self._file = path.open("wb")
        self._file.write(_wav_header(rate_hz, 0))

    @property
    def milliseconds(self) -> int:
        return self.samples * 1000 // self.rate_hz

    def write(self, samples: Samples) -> None:
        self._file.write(samples.astype("<i2", copy=False).tobytes())
        self.samples += len(samples)

    def silence(self, milliseconds: float) -> None:
        self._zeros(round(milliseconds * self.rate_hz / 1000))

    def _zeros(self, left: int) -> None:
        while left > 0:
            count = min(left, self.rate_hz)
            self.write(np.zeros(count, dtype=np.int16))
            left -= count

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        with self._file:
            if failure is None:
                self._zeros(-self.samples % (self.rate_hz // math.gcd(self.rate_hz, 1000)))
                self._file.seek(0)
                self._file.write(_wav_header(self.rate_hz, self.samples))


def _wav_header(rate_hz: int, samples: int) -> bytes:
    """The 44 bytes before the samples of a PCM file: 16 bits, one channel."""
    size = 2 * samples
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)


def set_duration_ms(wav: Path, wished_ms: int) -> int:
    """Cuts the end off, or adds silence; returns the length, which is the nearest that a whole number of
    samples and of milliseconds allows.
    """
    rate = rate_hz(wav)
    step = rate // math.gcd(rate, 1000)
    samples = max(1, round(wished_ms * rate / 1000 / step)) * step
    with wav.open("r+b") as file:
        # Beyond its end a file grows by zeros, which are silence.
        file.truncate(len(_wav_header(rate, samples)) + 2 * samples)
        file.write(_wav_header(rate, samples))
    return samples * 1000 // rate


def blocks(
    wav: Path, start_ms: int = 0, end_ms: int | None = None, block_s: float = BLOCK_S
) -> Iterator[Samples]:
    """The samples of a span, at most `block_s` at a time."""
    with wave.open(str(wav), "rb") as source:
        rate = source.getframerate()
        first = min(start_ms * rate // 1000, source.getnframes())
        last = source.getnframes() if end_ms is None else min(end_ms * rate // 1000, source.getnframes())
        source.setpos(first)
        while first < last:
            count = min(round(block_s * rate), last - first)
            yield np.frombuffer(source.readframes(count), dtype="<i2").astype(np.int16, copy=False)
            first += count


def rate_hz(wav: Path) -> int:
    with wave.open(str(wav), "rb") as source:
        return source.getframerate()


def duration_ms(wav: Path) -> int:
    with wave.open(str(wav), "rb") as source:
        return source.getnframes() * 1000 // source.getframerate()


def power(wav: Path) -> Levels:
    """The levels of a WAV, read in blocks."""
    means: list[Levels] = []
    with wave.open(str(wav), "rb") as source:
        rate, total = source.getframerate(), source.getnframes()
        steps = BLOCK_S * STEPS_PER_SECOND
        for first in range(0, -(-total * STEPS_PER_SECOND // rate), steps):
            # Borders follow the exact time: at 22 050 Hz a step has 220.5 samples.
            edges = np.minimum(np.arange(first, first + steps + 1) * rate // STEPS_PER_SECOND, total)
            samples = np.frombuffer(source.readframes(int(edges[-1] - edges[0])), dtype="<i2")
            sums = np.concatenate(([0.0], np.cumsum((samples.astype(np.float64) / 32768.0) ** 2)))
            inner = np.minimum(edges - edges[0], len(samples))
            counts = np.diff(inner)
            means.append((np.diff(sums[inner]) / np.maximum(counts, 1))[counts > 0])
    return np.concatenate(means) if means else np.zeros(0)


def quiet_spans(levels: Levels, shortest_ms: int) -> list[tuple[int, int]]:
    """Spans (start_ms, end_ms) of `power` that hold no speech.

    The threshold lies a quarter of the way, in decibels, from the background to the loud parts, so that a
    noisy room has pauses too; nothing under -55 dB counts as speech.
    """
    if not len(levels):
        return []
    decibels = 10 * np.log10(np.maximum(levels, 1e-9))
    background, loud = np.percentile(decibels, 8), np.percentile(decibels, 92)
    threshold = -55.0 if loud < -55 else max(-55.0, loud - 45.0, background + 0.25 * (loud - background))
    if loud - background < 6 and loud > -55:
        threshold = -55.0
    # 50 ms means: a stop consonant's closure is not a pause.
    smooth = 10 * np.log10(np.maximum(np.convolve(levels, np.full(5, 0.2), "same"), 1e-9))
    edges = np.flatnonzero(np.diff(np.concatenate(([False], smooth < threshold, [False])).astype(np.int8)))
    step_ms = 1000 // STEPS_PER_SECOND
    spans = [(int(a) * step_ms, int(b) * step_ms) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [(start, end) for start, end in spans if end - start >= shortest_ms]


def quietest_moment(levels: Levels, start_ms: int, end_ms: int) -> int:
    """The quietest moment (ms) of a span: where to cut when nobody pauses."""
    step_ms = 1000 // STEPS_PER_SECOND
    part = levels[start_ms // step_ms : max(end_ms // step_ms, start_ms // step_ms + 1)]
    if not len(part):
        return start_ms
    return start_ms + int(np.argmin(np.convolve(part, np.full(5, 0.2), "same"))) * step_ms
