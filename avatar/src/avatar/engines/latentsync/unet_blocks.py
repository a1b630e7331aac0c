"""Residual blocks and the levels of the UNet; pictures are (chunks * frames, channels, h, w) throughout."""

from __future__ import annotations

from itertools import chain

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from avatar.engines.latentsync.attention import SpatialTransformer
from avatar.engines.latentsync.motion import MotionModule
from avatar.engines.latentsync.shapes import UNetShape


class ChunkNorm(nn.GroupNorm):
    """GroupNorm over all frames of a chunk at once, as the checkpoints were trained.

    Per frame instead, the output moves by 7 %. In channels-last memory a chunk of frames is one tall
    picture without a copy; torch's norm on a card takes one of its own, channels first.
    """

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__(groups, channels, eps=1e-5)

    def forward(self, x: Tensor, frames: int = 1) -> Tensor:
        count, channels, height, width = x.shape
        tall = x.permute(0, 2, 3, 1).reshape(count // frames, frames * height, width, channels)
        normed = super().forward(tall.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return normed.reshape(count, height, width, channels).permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """Two convolutions with the time embedding between them."""

    def __init__(self, channels_in: int, channels_out: int, shape: UNetShape) -> None:
        super().__init__()
        self.norm1 = ChunkNorm(shape.groups, channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.time_emb_proj = nn.Linear(shape.time_channels, channels_out)
        self.norm2 = ChunkNorm(shape.groups, channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else None

    def forward(self, x: Tensor, time: Tensor, frames: int) -> Tensor:
        """time: (1, time channels); all pictures of a call are at one step."""
        inner = self.conv1(functional.silu(self.norm1(x, frames)))
        inner = inner + self.time_emb_proj(functional.silu(time))[:, :, None, None]
        inner = self.conv2(functional.silu(self.norm2(inner, frames)))
        return (x if self.conv_shortcut is None else self.conv_shortcut(x)) + inner


class Halved(nn.Module):
    """Half the size by a convolution of stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.conv(x)
        return halved


class Doubled(nn.Module):
    """Twice the size: nearest neighbours, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        doubled: Tensor = self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return doubled


def _spatial(channels: int, shape: UNetShape) -> SpatialTransformer:
    return SpatialTransformer(channels, shape.heads, shape.audio_channels, shape.groups)


def _motion(channels: int, count: int, shape: UNetShape) -> nn.ModuleList:
    return nn.ModuleList(
        [MotionModule(channels, shape.heads, shape.groups, shape.motion_positions) for _ in range(count)]
    )


class DownLevel(nn.Module):
    """A level of the way down: residual block, sound (`attends`), motion; then half the size unless last."""

    def __init__(
        self, channels_in: int, channels: int, shape: UNetShape, *, attends: bool, last: bool
    ) -> None:
        super().__init__()
        count = shape.layers_per_block
        self.resnets = nn.ModuleList(
            [ResidualBlock(channels if i else channels_in, channels, shape) for i in range(count)]
        )
        if attends:
            self.attentions = nn.ModuleList([_spatial(channels, shape) for _ in range(count)])
        self.attends = attends
        self.motion_modules = _motion(channels, count, shape)
        self.downsamplers = nn.ModuleList([] if last else [Halved(channels)])

    def forward(self, x: Tensor, time: Tensor, audio: Tensor, frames: int) -> tuple[Tensor, list[Tensor]]:
        """The level's output, and what the way up takes from it."""
        kept = []
        for index, (residual, motion) in enumerate(zip(self.resnets, self.motion_modules, strict=True)):
            x = residual(x, time, frames)
            if self.attends:
                x = self.attentions[index](x, audio)
            x = motion(x, frames)
            kept.append(x)
        for halved in self.downsamplers:
            x = halved(x)
            kept.append(x)
        return x, kept


class MiddleLevel(nn.Module):
    """Between the ways: a residual block, sound, a residual block; no motion module."""

    def __init__(self, channels: int, shape: UNetShape) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([ResidualBlock(channels, channels, shape) for _ in range(2)])
        self.attentions = nn.ModuleList([_spatial(channels, shape)])

    def forward(self, x: Tensor, time: Tensor, audio: Tensor, frames: int) -> Tensor:
        x = self.resnets[0](x, time, frames)
        x = self.attentions[0](x, audio)
        x = self.resnets[1](x, time, frames)
        return x


class UpLevel(nn.Module):
    """A level of the way up. Every residual block takes one more picture that the way down kept."""

    def __init__(
        self,
        channels_below: int,
        channels: int,
        channels_above: int,
        shape: UNetShape,
        *,
        attends: bool,
        last: bool,
    ) -> None:
        super().__init__()
        count = shape.layers_per_block + 1
        blocks = []
        for index in range(count):
            kept = channels_above if index == count - 1 else channels
            blocks.append(ResidualBlock((channels if index else channels_below) + kept, channels, shape))
        self.resnets = nn.ModuleList(blocks)
        if attends:
            self.attentions = nn.ModuleList([_spatial(channels, shape) for _ in range(count)])
        self.attends = attends
        self.motion_modules = _motion(channels, count, shape)
        self.upsamplers = nn.ModuleList([] if last else [Doubled(channels)])

    def forward(self, x: Tensor, kept: list[Tensor], time: Tensor, audio: Tensor, frames: int) -> Tensor:
        """Takes its pictures from the end of `kept`."""
        for index in range(len(self.resnets)):
            x = self.part(index, x, kept.pop(), time, audio, frames)
        for doubled in self.upsamplers:
            x = doubled(x)
        return x

    def part(self, index: int, x: Tensor, kept: Tensor, time: Tensor, audio: Tensor, frames: int) -> Tensor:
        """One residual block with what follows it."""
        x = self.resnets[index](torch.cat([x, kept], dim=1), time, frames)
        if self.attends:
            x = self.attentions[index](x, audio)
        moved: Tensor = self.motion_modules[index](x, frames)
        return moved


def down_levels(shape: UNetShape) -> nn.ModuleList:
    """All levels down; the deepest one hears no sound."""
    widths = shape.block_channels
    return nn.ModuleList(
        [
            DownLevel(before, width, shape, attends=index < len(widths) - 1, last=index == len(widths) - 1)
            for index, (before, width) in enumerate(zip(chain(widths[:1], widths), widths, strict=False))
        ]
    )


def up_levels(shape: UNetShape) -> nn.ModuleList:
    """All levels up, deepest first; the deepest one hears no sound."""
    widths = tuple(reversed(shape.block_channels))
    return nn.ModuleList(
        [
            UpLevel(
                widths[max(index - 1, 0)],
                width,
                widths[min(index + 1, len(widths) - 1)],
                shape,
                attends=index > 0,
                last=index == len(widths) - 1,
            )
            for index, width in enumerate(widths)
        ]
    )
