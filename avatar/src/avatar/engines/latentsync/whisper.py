"""Log-mel windows, and the encoder of whisper-tiny with the outputs of all its layers: the input of the UNet.

Key names are those of OpenAI's file ("encoder." in front); its decoder is not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from avatar.engines.latentsync.shapes import FEATURES_PER_SECOND, FPS, SAMPLE_RATE_HZ, WhisperShape
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


STEPS_BEFORE = 4
STEPS_AFTER = 5
"""A frame hears the features from 80 ms before its time to 100 ms after: ten of 20 ms."""


def sinusoids(length: int, channels: int) -> Tensor:
    """(length, channels): sines in the first half, cosines in the second."""
    rates = torch.exp(-math.log(10000) / (channels // 2 - 1) * torch.arange(channels // 2))
    angles = torch.arange(length)[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class WhisperAttention(nn.Module):
    """Self-attention; keys have no bias."""

    def __init__(self, state: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(state, state)
        self.key = nn.Linear(state, state, bias=False)
        self.value = nn.Linear(state, state)
        self.out = nn.Linear(state, state)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class WhisperBlock(nn.Module):
    def __init__(self, state: int, heads: int) -> None:
        super().__init__()
        self.attn = WhisperAttention(state, heads)
        self.attn_ln = nn.LayerNorm(state)
        self.mlp = nn.Sequential(nn.Linear(state, state * 4), nn.GELU(), nn.Linear(state * 4, state))
        self.mlp_ln = nn.LayerNorm(state)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.attn_ln(x))
        return x + self.mlp(self.mlp_ln(x))


class WhisperEncoder(nn.Module):
    """Log-mel windows to features of every layer."""

    def __init__(self, shape: WhisperShape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or WhisperShape()
        self.conv1 = nn.Conv1d(shape.mels, shape.state, 3, padding=1)
        self.conv2 = nn.Conv1d(shape.state, shape.state, 3, stride=2, padding=1)
        self.register_buffer("positional_embedding", sinusoids(shape.context, shape.state))
        self.blocks = nn.ModuleList([WhisperBlock(shape.state, shape.heads) for _ in range(shape.layers)])
        self.ln_post = nn.LayerNorm(shape.state)
        """Part of the file; the stacked features lie before it."""

    def forward(self, mel: Tensor) -> Tensor:
        """mel (windows, 80, 3000) to (windows, 1500, 5, 384): the convolutions' output and each block's."""
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(mel)))).transpose(1, 2)
        positions: Tensor = self.positional_embedding
        x = x + positions
        layers = [x]
        for block in self.blocks:
            x = block(x)
            layers.append(x)
        return torch.stack(layers, dim=2)


@torch.inference_mode()
def feature_blocks(mel: LogMel, encoder: WhisperEncoder) -> Iterator[Tensor]:
    """Float32 features (steps, 5, 384) on the CPU, one block per window of 30 s: 50 steps a second."""
    weight = encoder.conv1.weight
    for window, frames in mel.windows():
        features = encoder(window.unsqueeze(0).to(weight.device, weight.dtype))
        yield features[0, : frames // 2].float().cpu()


def frame_tokens(blocks: Iterator[Tensor], frames: int, fps: int = FPS) -> Iterator[Tensor]:
    """Tokens (50, 384) for `frames` video frames: ten steps of five layers each, time first.

    At both ends the outermost step is repeated. Only what the next frames need is kept.
    """
    held = next(blocks)
    first, ended = 0, False
    for frame in range(frames):
        centre = frame * FEATURES_PER_SECOND // fps
        while not ended and centre + STEPS_AFTER >= first + len(held):
            more = next(blocks, None)
            if more is None:
                ended = True
            else:
                keep = max(0, min(centre - STEPS_BEFORE - first, len(held) - 1))
                held, first = torch.cat([held[keep:], more]), first + keep
        steps = torch.arange(centre - STEPS_BEFORE, centre + STEPS_AFTER + 1) - first
        yield held[steps.clamp(0, len(held) - 1)].flatten(0, 1)
