"""Sizes of the networks: the published ones as defaults, smaller ones for tests of the same structure."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_RATE_HZ = 16_000
FPS = 25
FEATURES_PER_SECOND = 50
LATENT_CHANNELS = 4
VAE_SCALE = 8
"""Pixels of the face crop per latent, in both directions."""


@dataclass(frozen=True, slots=True)
class UNetShape:
    """The denoiser. Its 13 channels in: noisy latent 4, mask 1, masked face 4, reference face 4."""

    in_channels: int = 13
    out_channels: int = 4
    block_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    heads: int = 8
    audio_channels: int = 384
    groups: int = 32
    motion_positions: int = 24

    @property
    def time_channels(self) -> int:
        return self.block_channels[0] * 4


@dataclass(frozen=True, slots=True)
class WhisperShape:
    """The encoder of whisper-tiny; `context` is its feature steps per 30 s window."""

    mels: int = 80
    context: int = 1500
    state: int = 384
    heads: int = 6
    layers: int = 4
