"""The encoder of whisper-tiny with the outputs of all its layers stacked: what the UNet hears.

Key names are those of OpenAI's file ("encoder." in front); its decoder is not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from avatar.engines.latentsync.mel import LogMel
from avatar.engines.latentsync.shapes import FEATURES_PER_SECOND, FPS, WhisperShape

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
