"""Log-mel windows of 30 s as whisper takes them, read from a sound of any length in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from avatar.engines.latentsync.shapes import SAMPLE_RATE_HZ
from avatar.engines.latentsync.sound import Samples, Sound

Tail = Literal["tone", "silence"]
"""What follows the end of the sound in its last window. The checkpoints were trained with 0.0 in the log-mel,
which is a loud tone ("tone"); "silence" is what a padded sound would give."""

MELS = 80
FFT = 400
HOP = 160
WINDOW_FRAMES = 3000
FLOOR = 1e-10


def mel_filters() -> Tensor:
    """(80, 201) triangular filters from 0 to 8 kHz, each of area one (Slaney's Auditory Toolbox, 1998)."""
    edges = _hertz(np.linspace(0.0, _mels(SAMPLE_RATE_HZ / 2), MELS + 2))
    bins = np.linspace(0.0, SAMPLE_RATE_HZ / 2, FFT // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    heights = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return torch.from_numpy(heights.astype(np.float32))


def _mels(hertz: float) -> float:
    """Linear below 1 kHz (200/3 Hz a mel), then logarithmic (27 steps for a factor of 6.4)."""
    return hertz * 3 / 200 if hertz < 1000 else 15 + float(np.log(hertz / 1000)) * 27 / float(np.log(6.4))


def _hertz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))


class LogMel:
    """The log-mel of one sound, window by window.

    The spectrum is cut off 80 dB below the loudest place of the whole sound, so it is looked through once
    before the first window.
    """

    def __init__(self, sound: Sound, tail: Tail = "tone") -> None:
        self._sound: Sound = sound if len(sound) >= FFT else np.pad(sound[:], (0, FFT - len(sound)))
        self._tail = tail
        self._filters = mel_filters()
        self._fourier = torch.hann_window(FFT)
        self.frames = len(self._sound) // HOP
        """10 ms each."""
        self._loudest = max(
            (float(self._power(first).max()) for first in self._firsts()), default=float(np.log10(FLOOR))
        )

    def windows(self) -> Iterator[tuple[Tensor, int]]:
        """(80, 3000) windows in order, each with the number of its frames that are sound."""
        for first in self._firsts():
            power = self._power(first)
            mel = (torch.clamp(power, min=self._loudest - 8.0) + 4.0) / 4.0
            frames = mel.shape[1]
            quiet = (max(float(np.log10(FLOOR)), self._loudest - 8.0) + 4.0) / 4.0
            fill = 0.0 if self._tail == "tone" else quiet
            yield torch.nn.functional.pad(mel, (0, WINDOW_FRAMES - frames), value=fill), frames

    def _firsts(self) -> range:
        return range(0, self.frames, WINDOW_FRAMES)

    def _power(self, first: int) -> Tensor:
        """Log10 of the mel power of up to 3000 frames from frame `first`."""
        frames = min(WINDOW_FRAMES, self.frames - first)
        low, high = first * HOP - FFT // 2, (first + frames - 1) * HOP + FFT // 2
        inside = np.array(self._sound[max(0, low) : high], dtype=np.float32)
        before = max(0, -low)
        after = max(0, high - len(self._sound))
        piece = torch.from_numpy(_mirrored(inside, before, after))
        spectrum = torch.stft(piece, FFT, HOP, window=self._fourier, center=False, return_complex=True)
        return (self._filters @ spectrum.abs().square()).clamp(min=FLOOR).log10()


def _mirrored(samples: Samples, before: int, after: int) -> Samples:
    """Both ends of the file continue as in a mirror, without the edge sample twice."""
    return np.pad(samples, (before, after), mode="reflect") if before or after else samples
