"""Attention layers of the UNet: within a frame, to the frame's sound, and over the frames of a chunk."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from avatar.engines.latentsync.fused import (
    add_layer_norm,
    attend_over_frames,
    geglu,
    group_norm,
    layer_norm,
)


class Attention(nn.Module):
    """Multi-head attention, (batch, tokens, channels) to the same; keys and values of the encoder if any.

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

    def forward(self, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None) -> Tensor:
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projected in (self.to_q(hidden_states), self.to_k(source), self.to_v(source))
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.to_out[0](mixed.transpose(1, 2).flatten(2))
        return out


class GatedLinear(nn.Module):
    """A projection that is gated by its other half."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, inner * 2)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return geglu(self.proj(hidden_states))


class FeedForward(nn.Module):
    """Four times as wide inside; the middle of `net` holds no weights and keeps the published numbering.

    slices: tokens go through in so many parts, for less memory; each stands for itself.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.slices = 1
        inner = channels * 4
        self.net = nn.ModuleList([GatedLinear(channels, inner), nn.Identity(), nn.Linear(inner, channels)])

    def forward(self, hidden_states: Tensor) -> Tensor:
        if self.slices == 1 or len(hidden_states) < self.slices:
            return self._run_layers(hidden_states)
        out = torch.empty_like(hidden_states)
        for part, result in zip(hidden_states.chunk(self.slices), out.chunk(self.slices), strict=True):
            result.copy_(self._run_layers(part))
        return out

    def _run_layers(self, hidden_states: Tensor) -> Tensor:
        for layer in self.net:
            hidden_states = layer(hidden_states)
        return hidden_states


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

    def forward(self, hidden_states: Tensor, encoder_hidden_states: Tensor) -> Tensor:
        # Results without a name are let go as soon as they are used.
        hidden_states, normed = add_layer_norm(
            hidden_states, self.attn1(layer_norm(hidden_states, self.norm1)), self.norm2
        )
        hidden_states, normed = add_layer_norm(
            hidden_states, self.attn2(normed, encoder_hidden_states), self.norm3
        )
        return hidden_states + self.ff(normed)


class SpatialTransformer(nn.Module):
    """(frames, channels, h, w) to the same; every frame for itself, its norm as well (eps 1e-6)."""

    def __init__(self, channels: int, heads: int, audio_channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, heads, audio_channels)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, hidden_states: Tensor, encoder_hidden_states: Tensor) -> Tensor:
        """audio: (frames, tokens, audio channels)."""
        tokens = _project(tokens_of(group_norm(hidden_states, self.norm)), self.proj_in)
        for block in self.transformer_blocks:
            tokens = block(tokens, encoder_hidden_states)
        return hidden_states + picture_of(_project(tokens, self.proj_out), hidden_states)


def _project(tokens: Tensor, conv: nn.Conv2d) -> Tensor:
    """Returns what a convolution of one pixel does, which the checkpoints have in place of a linear layer."""
    return functional.linear(tokens, conv.weight.flatten(1), conv.bias)


def tokens_of(picture: Tensor) -> Tensor:
    """(n, channels, h, w) as (n, h * w, channels); in channels-last memory without a copy."""
    return picture.permute(0, 2, 3, 1).flatten(1, 2)


def picture_of(tokens: Tensor, like: Tensor) -> Tensor:
    """(n, h * w, channels) as a picture of the same size as another."""
    return tokens.unflatten(1, like.shape[2:]).permute(0, 3, 1, 2)


def positional_encoding(count: int, channels: int) -> Tensor:
    """(1, count, channels): sines on even channels, cosines on odd ones (Vaswani et al. 2017, 3.5)."""
    place = torch.arange(count).unsqueeze(1)
    rate = torch.exp(torch.arange(0, channels, 2) * (-math.log(10000.0) / channels))
    table = torch.zeros(1, count, channels)
    table[0, :, 0::2] = torch.sin(place * rate)
    table[0, :, 1::2] = torch.cos(place * rate)
    return table


class PositionalEncoding(nn.Module):
    """Each frame's place in its chunk. The table is part of the published state dict."""

    def __init__(self, count: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("pe", positional_encoding(count, channels))

    def forward(self, num_frames: int) -> Tensor:
        """Returns (num_frames, channels)."""
        table: Tensor = self.pe
        return table[0, :num_frames]


class TemporalAttention(Attention):
    """Self-attention of each place over the frames of its chunk."""

    def __init__(self, channels: int, heads: int, most_frames: int) -> None:
        super().__init__(channels, heads)
        self.pos_encoder = PositionalEncoding(most_frames, channels)

    def attend(self, hidden_states: Tensor, num_frames: int) -> Tensor:
        """(chunks * frames, places, channels) to the same; the frames' places were added before."""
        mixed = attend_over_frames(
            self.to_q(hidden_states),
            self.to_k(hidden_states),
            self.to_v(hidden_states),
            self.heads,
            num_frames,
        )
        out: Tensor = self.to_out[0](mixed)
        return out


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

    def forward(self, hidden_states: Tensor, num_frames: int) -> Tensor:
        first, second = self.attention_blocks
        tables = [attention.pos_encoder(num_frames) for attention in (first, second)]
        normed = layer_norm(hidden_states, self.norms[0], tables[0], num_frames)
        hidden_states, normed = add_layer_norm(
            hidden_states, first.attend(normed, num_frames), self.norms[1], tables[1], num_frames
        )
        hidden_states, normed = add_layer_norm(hidden_states, second.attend(normed, num_frames), self.ff_norm)
        return hidden_states + self.ff(normed)


class TemporalTransformer(nn.Module):
    """(chunks * frames, channels, h, w) to the same. The norm is per frame (eps 1e-6)."""

    def __init__(self, channels: int, heads: int, groups: int, most_frames: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([TemporalBlock(channels, heads, most_frames)])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, hidden_states: Tensor, num_frames: int) -> Tensor:
        tokens = self.proj_in(tokens_of(group_norm(hidden_states, self.norm)))
        for block in self.transformer_blocks:
            tokens = block(tokens, num_frames)
        return hidden_states + picture_of(self.proj_out(tokens), hidden_states)


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
