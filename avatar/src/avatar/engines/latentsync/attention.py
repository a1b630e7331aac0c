"""Attention over tokens, the gated feed-forward, and the spatial transformer of the UNet."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention, (batch, tokens, channels) to the same; keys and values of `context` when given.

    `heads` is the number of heads (the published configuration calls it attention_head_dim), so a head has
    channels / heads numbers. Queries, keys and values have no bias.
    """

    def __init__(self, channels: int, heads: int, context_channels: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context_channels or channels, channels, bias=False)
        self.to_v = nn.Linear(context_channels or channels, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        source = x if context is None else context
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projected in (self.to_q(x), self.to_k(source), self.to_v(source))
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.to_out[0](mixed.transpose(1, 2).flatten(2))
        return out


class GatedLinear(nn.Module):
    """GEGLU (Shazeer 2020): one half of a projection times the exact GELU of the other half."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, inner * 2)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return torch.mul(value, functional.gelu(gate))


class FeedForward(nn.Module):
    """Four times as wide inside; the middle of `net` holds no weights and keeps the published numbering.

    slices: tokens go through in so many parts, for less memory; each stands for itself.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.slices = 1
        inner = channels * 4
        self.net = nn.ModuleList([GatedLinear(channels, inner), nn.Identity(), nn.Linear(inner, channels)])

    def forward(self, x: Tensor) -> Tensor:
        if self.slices == 1 or len(x) < self.slices:
            return self._passed(x)
        out = torch.empty_like(x)
        for part, made in zip(x.chunk(self.slices), out.chunk(self.slices), strict=True):
            made.copy_(self._passed(part))
        return out

    def _passed(self, x: Tensor) -> Tensor:
        for layer in self.net:
            x = layer(x)
        return x


class TransformerBlock(nn.Module):
    """Self-attention within a frame, attention to the frame's sound, feed-forward."""

    def __init__(self, channels: int, heads: int, audio_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn1 = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.attn2 = Attention(channels, heads, audio_channels)
        self.norm3 = nn.LayerNorm(channels)
        self.ff = FeedForward(channels)

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), audio)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """(frames, channels, h, w) to the same; every frame for itself, its norm as well (eps 1e-6)."""

    def __init__(self, channels: int, heads: int, audio_channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, heads, audio_channels)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        """audio: (frames, tokens, audio channels)."""
        _, _, height, width = x.shape
        tokens = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        for block in self.transformer_blocks:
            tokens = block(tokens, audio)
        return x + self.proj_out(tokens.transpose(1, 2).unflatten(2, (height, width)))
