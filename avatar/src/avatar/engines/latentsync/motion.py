"""The motion modules of the UNet: every place of the picture attends to itself over the frames of a chunk."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from avatar.engines.latentsync.attention import Attention, FeedForward


def positional_encoding(count: int, channels: int) -> Tensor:
    """(1, count, channels): sines on even channels, cosines on odd ones (Vaswani et al. 2017, 3.5)."""
    place = torch.arange(count).unsqueeze(1)
    rate = torch.exp(torch.arange(0, channels, 2) * (-math.log(10000.0) / channels))
    table = torch.zeros(1, count, channels)
    table[0, :, 0::2] = torch.sin(place * rate)
    table[0, :, 1::2] = torch.cos(place * rate)
    return table


class PositionalEncoding(nn.Module):
    """Adds the frame's place in its chunk. The table is part of the published state dict."""

    def __init__(self, count: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("pe", positional_encoding(count, channels))

    def forward(self, hidden_states: Tensor) -> Tensor:
        table: Tensor = self.pe
        return hidden_states + table[:, : hidden_states.shape[1]]


class TemporalAttention(Attention):
    """Self-attention over (places, frames, channels)."""

    def __init__(self, channels: int, heads: int, most_frames: int) -> None:
        super().__init__(channels, heads)
        self.pos_encoder = PositionalEncoding(most_frames, channels)

    def forward(self, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None) -> Tensor:
        return super().forward(self.pos_encoder(hidden_states), encoder_hidden_states)


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

    def forward(self, hidden_states: Tensor) -> Tensor:
        for attention, norm in zip(self.attention_blocks, self.norms, strict=True):
            hidden_states = hidden_states + attention(norm(hidden_states))
        return hidden_states + self.ff(self.ff_norm(hidden_states))


class TemporalTransformer(nn.Module):
    """(chunks * frames, channels, h, w) to the same. The norm is per frame (eps 1e-6)."""

    def __init__(self, channels: int, heads: int, groups: int, most_frames: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([TemporalBlock(channels, heads, most_frames)])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, hidden_states: Tensor, num_frames: int) -> Tensor:
        _, channels, height, width = hidden_states.shape
        tokens = (
            self.norm(hidden_states).permute(0, 2, 3, 1).reshape(-1, num_frames, height * width, channels)
        )
        tokens = self.proj_in(tokens.transpose(1, 2).reshape(-1, num_frames, channels))
        for block in self.transformer_blocks:
            tokens = block(tokens)
        tokens = self.proj_out(tokens).unflatten(0, (-1, height * width)).transpose(1, 2)
        return hidden_states + tokens.reshape(-1, height, width, channels).permute(0, 3, 1, 2)


class MotionModule(nn.Module):
    """One temporal transformer, under the name it has in checkpoints."""

    def __init__(self, channels: int, heads: int, groups: int, most_frames: int) -> None:
        super().__init__()
        self.temporal_transformer = TemporalTransformer(channels, heads, groups, most_frames)

    def forward(self, hidden_states: Tensor, num_frames: int) -> Tensor:
        moved: Tensor = self.temporal_transformer(hidden_states, num_frames)
        return moved


class NoMotion(nn.Module):
    """In place of a motion module, for checkpoints that hold none."""

    def forward(self, hidden_states: Tensor, num_frames: int) -> Tensor:
        return hidden_states
