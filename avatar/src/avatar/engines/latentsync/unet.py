"""The denoiser of LatentSync: a UNet over frames whose module tree has the checkpoint's key names."""

from __future__ import annotations

import math
from itertools import chain

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from avatar.engines.latentsync.attention import FeedForward, MotionModule, NoMotion, SpatialTransformer
from avatar.engines.latentsync.fused import add_biased, group_norm
from avatar.engines.latentsync.shapes import UNetShape


class ResnetBlock(nn.Module):
    """Two convolutions with the time embedding between them."""

    def __init__(self, channels_in: int, channels_out: int, shape: UNetShape) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(shape.groups, channels_in, eps=1e-5)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.time_emb_proj = nn.Linear(shape.time_channels, channels_out)
        self.norm2 = nn.GroupNorm(shape.groups, channels_out, eps=1e-5)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else None

    def forward(self, hidden_states: Tensor, temb: Tensor, num_frames: int) -> Tensor:
        """Returns the hidden states after both convolutions. temb: (1, time channels), one step for all."""
        hidden = _without_bias(self.conv1, group_norm(hidden_states, self.norm1, num_frames, silu=True))
        added = self.time_emb_proj(functional.silu(temb))[0] + _bias(self.conv1)
        hidden = group_norm(hidden, self.norm2, num_frames, silu=True, added=added)
        hidden = _without_bias(self.conv2, hidden)
        if self.conv_shortcut is None:
            return add_biased(hidden_states, hidden, _bias(self.conv2))
        shortcut = _without_bias(self.conv_shortcut, hidden_states)
        return add_biased(shortcut, hidden, _bias(self.conv2) + _bias(self.conv_shortcut))


def _without_bias(conv: nn.Conv2d, picture: Tensor) -> Tensor:
    """Returns the convolution but for its bias: on a card torch adds that in a pass of its own."""
    return functional.conv2d(picture, conv.weight, None, conv.stride, conv.padding)


def _bias(conv: nn.Conv2d) -> Tensor:
    bias = conv.bias
    if bias is None:
        raise ValueError("every convolution of the denoiser has a bias")
    return bias


class Downsample(nn.Module):
    """Half the size by a convolution of stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, hidden_states: Tensor) -> Tensor:
        downsampled: Tensor = self.conv(hidden_states)
        return downsampled


class Upsample(nn.Module):
    """Twice the size: nearest neighbours, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, hidden_states: Tensor) -> Tensor:
        upsampled: Tensor = self.conv(functional.interpolate(hidden_states, scale_factor=2.0, mode="nearest"))
        return upsampled


def _spatial(channels: int, shape: UNetShape) -> SpatialTransformer:
    return SpatialTransformer(channels, shape.heads, shape.audio_channels, shape.groups)


def _motion(channels: int, count: int, shape: UNetShape) -> nn.ModuleList:
    return nn.ModuleList(
        [MotionModule(channels, shape.heads, shape.groups, shape.motion_positions) for _ in range(count)]
    )


class DownBlock(nn.Module):
    """A block of the way down: residual block, sound (`attends`), motion; then half the size unless last."""

    def __init__(
        self, channels_in: int, channels: int, shape: UNetShape, *, attends: bool, last: bool
    ) -> None:
        super().__init__()
        count = shape.layers_per_block
        self.resnets = nn.ModuleList(
            [ResnetBlock(channels if i else channels_in, channels, shape) for i in range(count)]
        )
        if attends:
            self.attentions = nn.ModuleList([_spatial(channels, shape) for _ in range(count)])
        self.attends = attends
        self.motion_modules = _motion(channels, count, shape)
        self.downsamplers = nn.ModuleList([] if last else [Downsample(channels)])

    def forward(
        self, hidden_states: Tensor, temb: Tensor, encoder_hidden_states: Tensor, num_frames: int
    ) -> tuple[Tensor, list[Tensor]]:
        """Returns the output of the block, and the residuals that the way up takes from it."""
        res_samples = []
        for index, (resnet, motion) in enumerate(zip(self.resnets, self.motion_modules, strict=True)):
            hidden_states = resnet(hidden_states, temb, num_frames)
            if self.attends:
                hidden_states = self.attentions[index](hidden_states, encoder_hidden_states)
            hidden_states = motion(hidden_states, num_frames)
            res_samples.append(hidden_states)
        for downsampled in self.downsamplers:
            hidden_states = downsampled(hidden_states)
            res_samples.append(hidden_states)
        return hidden_states, res_samples


class MidBlock(nn.Module):
    """Between the ways: a residual block, sound, a residual block; no motion module."""

    def __init__(self, channels: int, shape: UNetShape) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([ResnetBlock(channels, channels, shape) for _ in range(2)])
        self.attentions = nn.ModuleList([_spatial(channels, shape)])

    def forward(
        self, hidden_states: Tensor, temb: Tensor, encoder_hidden_states: Tensor, num_frames: int
    ) -> Tensor:
        hidden_states = self.resnets[0](hidden_states, temb, num_frames)
        hidden_states = self.attentions[0](hidden_states, encoder_hidden_states)
        hidden_states = self.resnets[1](hidden_states, temb, num_frames)
        return hidden_states


class UpBlock(nn.Module):
    """A block of the way up. Every residual block takes one more residual of the way down."""

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
            res_channels = channels_above if index == count - 1 else channels
            blocks.append(
                ResnetBlock((channels if index else channels_below) + res_channels, channels, shape)
            )
        self.resnets = nn.ModuleList(blocks)
        if attends:
            self.attentions = nn.ModuleList([_spatial(channels, shape) for _ in range(count)])
        self.attends = attends
        self.motion_modules = _motion(channels, count, shape)
        self.upsamplers = nn.ModuleList([] if last else [Upsample(channels)])

    def forward(
        self,
        hidden_states: Tensor,
        res_samples: list[Tensor],
        temb: Tensor,
        encoder_hidden_states: Tensor,
        num_frames: int,
    ) -> Tensor:
        """Returns the output of the block; takes its residuals from the end of `res_samples`."""
        for index in range(len(self.resnets)):
            hidden_states = self.run_layer(
                index, hidden_states, res_samples.pop(), temb, encoder_hidden_states, num_frames
            )
        for upsampled in self.upsamplers:
            hidden_states = upsampled(hidden_states)
        return hidden_states

    def run_layer(
        self,
        index: int,
        hidden_states: Tensor,
        res_sample: Tensor,
        temb: Tensor,
        encoder_hidden_states: Tensor,
        num_frames: int,
    ) -> Tensor:
        """Returns the output of one residual block with its attention and motion module."""
        hidden_states = self.resnets[index](torch.cat([hidden_states, res_sample], dim=1), temb, num_frames)
        if self.attends:
            hidden_states = self.attentions[index](hidden_states, encoder_hidden_states)
        moved: Tensor = self.motion_modules[index](hidden_states, num_frames)
        return moved


def down_blocks(shape: UNetShape) -> nn.ModuleList:
    """Returns the blocks of the way down; the deepest one attends to no sound."""
    widths = shape.block_channels
    return nn.ModuleList(
        [
            DownBlock(before, width, shape, attends=index < len(widths) - 1, last=index == len(widths) - 1)
            for index, (before, width) in enumerate(zip(chain(widths[:1], widths), widths, strict=False))
        ]
    )


def up_blocks(shape: UNetShape) -> nn.ModuleList:
    """Returns the blocks of the way up, deepest first; the deepest one attends to no sound."""
    widths = tuple(reversed(shape.block_channels))
    return nn.ModuleList(
        [
            UpBlock(
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


def timestep_embedding(timestep: Tensor, channels: int) -> Tensor:
    """Returns (1, channels) of a step: cosines first, then sines (Ho et al. 2020, appendix B)."""
    half = channels // 2
    rates = torch.exp(
        torch.arange(half, device=timestep.device, dtype=torch.float32) * (-math.log(10000) / half)
    )
    angles = timestep.reshape(1, 1).float() * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class TimeEmbedding(nn.Module):
    """Two linear layers with SiLU between them."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(channels, hidden)
        self.linear_2 = nn.Linear(hidden, hidden)

    def forward(self, sample: Tensor) -> Tensor:
        embedded: Tensor = self.linear_2(functional.silu(self.linear_1(sample)))
        return embedded


class LatentSyncUNet(nn.Module):
    """Predicts the noise of all frames of one or more chunks."""

    def __init__(self, shape: UNetShape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or UNetShape()
        first, last = shape.block_channels[0], shape.block_channels[-1]
        self.conv_in = nn.Conv2d(shape.in_channels, first, 3, padding=1)
        self.time_embedding = TimeEmbedding(first, shape.time_channels)
        self.down_blocks = down_blocks(shape)
        self.mid_block = MidBlock(last, shape)
        self.up_blocks = up_blocks(shape)
        self.conv_norm_out = nn.GroupNorm(shape.groups, first, eps=1e-5)
        self.conv_out = nn.Conv2d(first, shape.out_channels, 3, padding=1)

    def forward(
        self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, num_frames: int
    ) -> Tensor:
        """Returns the noise (chunks * frames, 4, h, w) in `sample` (chunks * frames, 13, h, w).

        timestep (), encoder_hidden_states (chunks * frames, 50, 384). The frames of a chunk lie side by side;
        h and w are multiples of 8. A chunk has at most as many frames as the motion modules have positions.
        """
        noise_pred, _ = self.forward_full(sample, timestep, encoder_hidden_states, num_frames)
        return noise_pred

    def forward_full(
        self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, num_frames: int
    ) -> tuple[Tensor, Tensor]:
        """Returns what `forward` does, and the input of the last layer, which `forward_cached` takes."""
        if num_frames > self.shape.motion_positions:
            raise ValueError(f"a chunk has at most {self.shape.motion_positions} frames, not {num_frames}")
        if sample.shape[-1] % 8 or sample.shape[-2] % 8:
            raise ValueError(f"height and width must be multiples of 8, not {tuple(sample.shape[-2:])}")
        temb, sample = self._embed(sample, timestep)
        res_samples = [sample]
        for level in self.down_blocks:
            sample, level_samples = level(sample, temb, encoder_hidden_states, num_frames)
            res_samples += level_samples
        sample = self.mid_block(sample, temb, encoder_hidden_states, num_frames)
        for level in self.up_blocks[:-1]:
            sample = level(sample, res_samples, temb, encoder_hidden_states, num_frames)
        top = self.up_blocks[-1]
        for index in range(len(top.resnets) - 1):
            sample = top.run_layer(index, sample, res_samples.pop(), temb, encoder_hidden_states, num_frames)
        return self._predict(sample, res_samples.pop(), temb, encoder_hidden_states, num_frames), sample

    def forward_cached(
        self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, num_frames: int, cache: Tensor
    ) -> Tensor:
        """Returns what `forward` does with the deep features of an earlier step: only the first convolution
        and the last layer are computed (after Ma et al. 2024, DeepCache).
        """
        temb, res_sample = self._embed(sample, timestep)
        return self._predict(cache, res_sample, temb, encoder_hidden_states, num_frames)

    def _embed(self, sample: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        temb = self.time_embedding(
            timestep_embedding(timestep, self.shape.block_channels[0]).to(sample.dtype)
        )
        return temb, self.conv_in(sample.contiguous(memory_format=torch.channels_last))

    def _predict(
        self, sample: Tensor, res_sample: Tensor, temb: Tensor, encoder_hidden_states: Tensor, num_frames: int
    ) -> Tensor:
        top = self.up_blocks[-1]
        sample = top.run_layer(
            len(top.resnets) - 1, sample, res_sample, temb, encoder_hidden_states, num_frames
        )
        noise_pred: Tensor = self.conv_out(group_norm(sample, self.conv_norm_out, num_frames, silu=True))
        return noise_pred

    def slice_feed_forward(self, slices: int) -> None:
        """Runs the layers that take the most memory in slices, see `FeedForward`."""
        for module in self.modules():
            if isinstance(module, FeedForward):
                module.slices = slices

    def disable_motion(self) -> None:
        """Lets every frame stand alone, but for the norms."""
        for level in (*self.down_blocks, *self.up_blocks):
            level.motion_modules = nn.ModuleList([NoMotion() for _ in level.motion_modules])
