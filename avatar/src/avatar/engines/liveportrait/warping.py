"""W, the warping network: moves a volume of features as the source's keypoints moved to the driven ones.

Each keypoint proposes a shift of the whole volume; an hourglass says how far a place follows each of them.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar.engines.liveportrait.layers import ConvNorm2d, ConvNorm3d, Doubling3d, Halving3d
from avatar.engines.liveportrait.sizes import KEYPOINTS, Sizes

_SPOT_VARIANCE = 0.01
"""Of the bell around a keypoint, in squared units of the -1..1 volume."""
_THIRD_SLOPE = 0.01


class WarpingNetwork(nn.Module):
    """(features, driven keypoints, source keypoints) to a map of features for the generator."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.channels * 2**sizes.halvings
        self.dense_motion_network = _DenseMotion(sizes)
        self.third = ConvNorm2d(sizes.most_channels, width, slope=_THIRD_SLOPE)
        self.fourth = nn.Conv2d(width, width, 1)

    def forward(self, volume: Tensor, driven: Tensor, source: Tensor) -> Tensor:
        """volume (batch, 32, 16, 64, 64), keypoints float32 (batch, 21, 3) to (batch, 256, 64, 64)."""
        grid, visible = self.dense_motion_network(volume, driven, source)
        moved = _sample(volume, grid).flatten(1, 2)
        return self.fourth(self.third(moved)) * visible


class _DenseMotion(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        features = sizes.motion_features
        self.compress = nn.Conv3d(sizes.volume_channels, features, 1)
        self.norm = nn.BatchNorm3d(features)
        self.hourglass = _Hourglass(sizes, (KEYPOINTS + 1) * (features + 1))
        channels = self.hourglass.channels
        self.mask = nn.Conv3d(channels, KEYPOINTS + 1, 7, padding=3)
        self.occlusion = nn.Conv2d(channels * sizes.volume_depth, 1, 7, padding=3)

    def forward(self, volume: Tensor, driven: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Where each place takes its features from (batch, d, h, w, 3), and how much of it is seen
        (batch, 1, h, w).
        """
        features = functional.relu(self.norm(self.compress(volume)))
        batch, _, depth, height, width = features.shape
        axes = tuple(torch.linspace(-1, 1, side, device=volume.device) for side in (depth, height, width))
        still = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)
        # The first proposal is the background, which stays where it is.
        shifts = functional.pad(source - driven, (0, 0, 1, 0))

        proposals = still + shifts[:, :, None, None, None]
        repeated = features.repeat_interleave(KEYPOINTS + 1, dim=0)
        moved = _sample(repeated, proposals.flatten(0, 1)).unflatten(0, (batch, KEYPOINTS + 1))
        spots = functional.pad(_spots(driven, axes) - _spots(source, axes), (0, 0, 0, 0, 0, 0, 1, 0))
        seen = torch.cat([spots.to(moved.dtype)[:, :, None], moved], dim=2).flatten(1, 2)

        thought = self.hourglass(seen)
        shares = self.mask(thought).float().softmax(dim=1)
        # The shares add up to one, so the still grid comes in whole.
        grid = still + torch.einsum("bkdhw,bkc->bdhwc", shares, shifts)
        return grid, torch.sigmoid(self.occlusion(thought.flatten(1, 2)))


class _Hourglass(nn.Module):
    """Down `motion_levels` times and up again, each level meeting its counterpart."""

    def __init__(self, sizes: Sizes, inputs: int) -> None:
        super().__init__()
        widths = [inputs] + [
            min(sizes.most_motion_channels, sizes.motion_channels * 2**level)
            for level in range(1, sizes.motion_levels + 1)
        ]
        self.encoder = nn.Module()
        self.encoder.down_blocks = nn.ModuleList(Halving3d(wide, narrow) for wide, narrow in pairwise(widths))
        ups = []
        for level in range(sizes.motion_levels, 0, -1):
            outputs = min(sizes.most_motion_channels, sizes.motion_channels * 2 ** (level - 1))
            ups.append(Doubling3d(widths[level] * (1 if level == sizes.motion_levels else 2), outputs))
        self.channels = sizes.motion_channels + inputs
        self.decoder = ConvNorm3d(self.channels, self.channels)
        self.decoder.up_blocks = nn.ModuleList(ups)

    def forward(self, x: Tensor) -> Tensor:
        levels = [x]
        for block in self.encoder.down_blocks:
            levels.append(block(levels[-1]))
        x = levels.pop()
        for block in self.decoder.up_blocks:
            x = torch.cat([block(x), levels.pop()], dim=1)
        return self.decoder(x)


def _sample(volume: Tensor, grid: Tensor) -> Tensor:
    """Trilinear, zero outside. The grid's ends are voxel centres, yet sampling takes them for voxel borders:
    the published weights were trained so. Coordinates need float32.
    """
    moved = functional.grid_sample(volume.float(), grid, align_corners=False)
    return moved.to(volume.dtype)


def _spots(keypoints: Tensor, axes: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """A bell around each keypoint, (batch, 21, d, h, w): one per axis, multiplied."""
    z, y, x = (
        torch.exp(-0.5 * (axis - keypoints[:, :, number, None]) ** 2 / _SPOT_VARIANCE)
        for axis, number in zip(axes, (2, 1, 0), strict=True)
    )
    return z[:, :, :, None, None] * y[:, :, None, :, None] * x[:, :, None, None, :]
