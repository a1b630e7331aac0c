"""The denoiser of LatentSync: a UNet over frames whose module tree has the checkpoint's key names."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from avatar.engines.latentsync.attention import FeedForward, NoMotion
from avatar.engines.latentsync.shapes import UNetShape
from avatar.engines.latentsync.unet_blocks import ChunkNorm, MidBlock, down_blocks, up_blocks


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
        self.conv_norm_out = ChunkNorm(shape.groups, first)
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
        noise_pred: Tensor = self.conv_out(functional.silu(self.conv_norm_out(sample, num_frames)))
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
