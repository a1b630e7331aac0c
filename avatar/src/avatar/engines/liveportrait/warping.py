"""W, the warping network: moves a volume of features as the source's keypoints moved to the driving ones.

Each keypoint proposes a sparse motion of the whole volume; an hourglass predicts the mask with which a place
follows each of them.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar.engines.liveportrait.layers import ConvNorm2d, ConvNorm3d, DownBlock3d, UpBlock3d
from avatar.engines.liveportrait.sizes import KEYPOINTS, Sizes

_KP_VARIANCE = 0.01
"""Of the Gaussian around a keypoint, in squared units of the -1..1 volume."""
_THIRD_SLOPE = 0.01


class WarpingNetwork(nn.Module):
    """Warps the feature volume and projects it to the feature map of the generator."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.channels * 2**sizes.halvings
        self.dense_motion_network = _DenseMotion(sizes)
        self.third = ConvNorm2d(sizes.most_channels, width, slope=_THIRD_SLOPE)
        self.fourth = nn.Conv2d(width, width, 1)

    def forward(self, feature_3d: Tensor, kp_driving: Tensor, kp_source: Tensor) -> Tensor:
        """Returns (batch, 256, 64, 64) of features (batch, 32, 16, 64, 64) and keypoints (batch, 21, 3)."""
        deformation, occlusion_map = self.dense_motion_network(feature_3d, kp_driving, kp_source)
        warped = _warp_volume(feature_3d, deformation).flatten(1, 2)
        return self.fourth(self.third(warped)) * occlusion_map


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

    def forward(self, feature_3d: Tensor, kp_driving: Tensor, kp_source: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the deformation (batch, d, h, w, 3), from where each place takes its features, and the
        occlusion map (batch, 1, h, w).
        """
        features = functional.relu(self.norm(self.compress(feature_3d)))
        batch, _, depth, height, width = features.shape
        axes = tuple(torch.linspace(-1, 1, side, device=feature_3d.device) for side in (depth, height, width))
        identity_grid = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)
        # The first proposal is the background, which stays where it is.
        sparse_motions = functional.pad(kp_source - kp_driving, (0, 0, 1, 0))

        proposals = identity_grid + sparse_motions[:, :, None, None, None]
        repeated = features.repeat_interleave(KEYPOINTS + 1, dim=0)
        warped = _warp_volume(repeated, proposals.flatten(0, 1)).unflatten(0, (batch, KEYPOINTS + 1))
        heatmaps = functional.pad(
            _gaussian_heatmaps(kp_driving, axes) - _gaussian_heatmaps(kp_source, axes),
            (0, 0, 0, 0, 0, 0, 1, 0),
        )
        hourglass_input = torch.cat([heatmaps.to(warped.dtype)[:, :, None], warped], dim=2).flatten(1, 2)

        prediction = self.hourglass(hourglass_input)
        mask = self.mask(prediction).float().softmax(dim=1)
        # The mask adds up to one, so the identity grid comes in whole.
        deformation = identity_grid + torch.einsum("bkdhw,bkc->bdhwc", mask, sparse_motions)
        return deformation, torch.sigmoid(self.occlusion(prediction.flatten(1, 2)))


class _Hourglass(nn.Module):
    """Down `motion_levels` times and up again, each level meeting its counterpart."""

    def __init__(self, sizes: Sizes, inputs: int) -> None:
        super().__init__()
        widths = [inputs] + [
            min(sizes.most_motion_channels, sizes.motion_channels * 2**level)
            for level in range(1, sizes.motion_levels + 1)
        ]
        self.encoder = nn.Module()
        self.encoder.down_blocks = nn.ModuleList(
            DownBlock3d(wide, narrow) for wide, narrow in pairwise(widths)
        )
        ups = []
        for level in range(sizes.motion_levels, 0, -1):
            outputs = min(sizes.most_motion_channels, sizes.motion_channels * 2 ** (level - 1))
            ups.append(UpBlock3d(widths[level] * (1 if level == sizes.motion_levels else 2), outputs))
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


def _warp_volume(feature_3d: Tensor, deformation: Tensor) -> Tensor:
    """Samples trilinearly, zero outside. Coordinates need float32.

    The ends of the grid are voxel centres, yet sampling takes them for voxel borders: the published weights
    were trained so.
    """
    warped = functional.grid_sample(feature_3d.float(), deformation, align_corners=False)
    return warped.to(feature_3d.dtype)


def _gaussian_heatmaps(keypoints: Tensor, axes: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Returns a Gaussian around each keypoint, (batch, 21, d, h, w): one per axis, multiplied."""
    z, y, x = (
        torch.exp(-0.5 * (axis - keypoints[:, :, number, None]) ** 2 / _KP_VARIANCE)
        for axis, number in zip(axes, (2, 1, 0), strict=True)
    )
    return z[:, :, :, None, None] * y[:, :, None, :, None] * x[:, :, None, None, :]
