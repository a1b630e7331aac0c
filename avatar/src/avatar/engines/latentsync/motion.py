"""The motion modules of the UNet: every place of the picture attends to itself over the frames of a chunk."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from avatar.engines.latentsync.attention import Attention, FeedForward


def positions(count: int, channels: int) -> Tensor:
    """(1, count, channels): sines on even channels, cosines on odd ones (Vaswani et al. 2017, 3.5)."""
    place = torch.arange(count).unsqueeze(1)
    rate = torch.exp(torch.arange(0, channels, 2) * (-math.log(10000.0) / channels))
    table = torch.zeros(1, count, channels)
    table[0, :, 0::2] = torch.sin(place * rate)
    table[0, :, 1::2] = torch.cos(place * rate)
    return table


class Positions(nn.Module):
    """Adds the frame's place in its chunk. The table is part of the published state dict."""

    def __init__(self, count: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("pe", positions(count, channels))

    def forward(self, x: Tensor) -> Tensor:
        table: Tensor = self.pe
        return x + table[:, : x.shape[1]]


class TemporalAttention(Attention):
    """Self-attention over (places, frames, channels)."""

    def __init__(self, channels: int, heads: int, most_frames: int) -> None:
        super().__init__(channels, heads)
        self.pos_encoder = Positions(most_frames, channels)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(self.pos_encoder(x), context)


class TemporalBlock(nn.Module):
    """Two attentions over time, then the feed-forward, each behind its own norm."""

    def __init__(self, channels: int, heads: int, most_frames: int) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList(
            [TemporalAttention(channels, heads, most_frames) for _ in range(2)]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(channels) for _ in range(2)])
        self.ff = FeedForward(channels)
        self.ff_norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        for attention, norm in zip(self.attention_blocks, self.norms, strict=True):
            x = x + attention(norm(x))
        return x + self.ff(self.ff_norm(x))


class TemporalTransformer(nn.Module):
    """(chunks * frames, channels, h, w) to the same. The norm is per frame (eps 1e-6)."""

    def __init__(self, channels: int, heads: int, groups: int, most_frames: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([TemporalBlock(channels, heads, most_frames)])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        _, channels, height, width = x.shape
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(-1, frames, height * width, channels)
        tokens = self.proj_in(tokens.transpose(1, 2).reshape(-1, frames, channels))
        for block in self.transformer_blocks:
            tokens = block(tokens)
        tokens = self.proj_out(tokens).unflatten(0, (-1, height * width)).transpose(1, 2)
        return x + tokens.reshape(-1, height, width, channels).permute(0, 3, 1, 2)


class MotionModule(nn.Module):
    """One temporal transformer, under the name it has in checkpoints."""

    def __init__(self, channels: int, heads: int, groups: int, most_frames: int) -> None:
        super().__init__()
        self.temporal_transformer = TemporalTransformer(channels, heads, groups, most_frames)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        moved: Tensor = self.temporal_transformer(x, frames)
        return moved


class Still(nn.Module):
    """In place of a motion module, for checkpoints that hold none."""

    def forward(self, x: Tensor, frames: int) -> Tensor:
        return x
