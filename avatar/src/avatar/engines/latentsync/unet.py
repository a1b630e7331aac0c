"""The denoiser of LatentSync: a UNet over frames whose module tree has the checkpoint's key names."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from avatar.engines.latentsync.attention import FeedForward
from avatar.engines.latentsync.motion import Still
from avatar.engines.latentsync.shapes import UNetShape
from avatar.engines.latentsync.unet_blocks import ChunkNorm, MiddleLevel, down_levels, up_levels


def time_features(step: Tensor, channels: int) -> Tensor:
    """(1, channels) of a step: cosines first, then sines (Ho et al. 2020, appendix B)."""
    half = channels // 2
    rates = torch.exp(torch.arange(half, device=step.device, dtype=torch.float32) * (-math.log(10000) / half))
    angles = step.reshape(1, 1).float() * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimeEmbedding(nn.Module):
    """Two linear layers with SiLU between them."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(channels, inner)
        self.linear_2 = nn.Linear(inner, inner)

    def forward(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.linear_2(functional.silu(self.linear_1(x)))
        return embedded


class LatentSyncUNet(nn.Module):
    """Predicts the noise of all frames of one or more chunks."""

    def __init__(self, shape: UNetShape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or UNetShape()
        first, last = shape.block_channels[0], shape.block_channels[-1]
        self.conv_in = nn.Conv2d(shape.in_channels, first, 3, padding=1)
        self.time_embedding = TimeEmbedding(first, shape.time_channels)
        self.down_blocks = down_levels(shape)
        self.mid_block = MiddleLevel(last, shape)
        self.up_blocks = up_levels(shape)
        self.conv_norm_out = ChunkNorm(shape.groups, first)
        self.conv_out = nn.Conv2d(first, shape.out_channels, 3, padding=1)

    def forward(self, x: Tensor, step: Tensor, audio: Tensor, frames: int) -> Tensor:
        """x (chunks * frames, 13, h, w), step () and audio (chunks * frames, 50, 384) to (…, 4, h, w).

        The frames of a chunk lie side by side; h and w are multiples of 8. A chunk has at most as many
        frames as the motion modules have positions.
        """
        noise, _ = self.with_depth(x, step, audio, frames)
        return noise

    def with_depth(self, x: Tensor, step: Tensor, audio: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """As `forward`, and what the last part of the network was given from below it (see `shallow`)."""
        if frames > self.shape.motion_positions:
            raise ValueError(f"a chunk has at most {self.shape.motion_positions} frames, not {frames}")
        if x.shape[-1] % 8 or x.shape[-2] % 8:
            raise ValueError(f"height and width must be multiples of 8, not {tuple(x.shape[-2:])}")
        time, x = self._begun(x, step)
        kept = [x]
        for level in self.down_blocks:
            x, more = level(x, time, audio, frames)
            kept += more
        x = self.mid_block(x, time, audio, frames)
        for level in self.up_blocks[:-1]:
            x = level(x, kept, time, audio, frames)
        top = self.up_blocks[-1]
        for index in range(len(top.resnets) - 1):
            x = top.part(index, x, kept.pop(), time, audio, frames)
        return self._ended(x, kept.pop(), time, audio, frames), x

    def shallow(self, x: Tensor, step: Tensor, audio: Tensor, frames: int, depth: Tensor) -> Tensor:
        """As `forward`, with the depth of an earlier step: only the first convolution and the last part are
        computed (after Ma et al. 2024, DeepCache).
        """
        time, first = self._begun(x, step)
        return self._ended(depth, first, time, audio, frames)

    def _begun(self, x: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        time = self.time_embedding(time_features(step, self.shape.block_channels[0]).to(x.dtype))
        return time, self.conv_in(x.contiguous(memory_format=torch.channels_last))

    def _ended(self, x: Tensor, first: Tensor, time: Tensor, audio: Tensor, frames: int) -> Tensor:
        top = self.up_blocks[-1]
        x = top.part(len(top.resnets) - 1, x, first, time, audio, frames)
        noise: Tensor = self.conv_out(functional.silu(self.conv_norm_out(x, frames)))
        return noise

    def slice_feed_forward(self, slices: int) -> None:
        """Where the most memory is taken, see `FeedForward`."""
        for module in self.modules():
            if isinstance(module, FeedForward):
                module.slices = slices

    def leave_out_motion(self) -> None:
        """Every frame stands alone, but for the norms."""
        for level in (*self.down_blocks, *self.up_blocks):
            level.motion_modules = nn.ModuleList([Still() for _ in level.motion_modules])
