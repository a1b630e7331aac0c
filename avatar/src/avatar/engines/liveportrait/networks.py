"""The networks of LivePortrait F, W, G, S and R, and all together on one device with M (`motion`).

The animator runs them; `load_networks` of the engine fills them.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar.engines.liveportrait.layers import (
    ConvNorm2d,
    ConvNorm3d,
    DownBlock2d,
    DownBlock3d,
    ResBlock3d,
    UpBlock3d,
    fold_norms,
)
from avatar.engines.liveportrait.motion import MotionExtractor
from avatar.engines.liveportrait.sizes import EYES, KEYPOINTS, LIPS, PUBLISHED, STITCHING, Sizes

_KP_VARIANCE = 0.01
"""Of the Gaussian around a keypoint, in squared units of the -1..1 volume."""
_THIRD_SLOPE = 0.01
_SLOPE = 0.2
_HIDDEN = 128
_MIDDLE = 6


class SpectralConv2d(nn.Module):
    """A convolution whose weight is divided by its largest singular value, estimated as u' W v.

    The checkpoint holds `weight_orig`, `weight_u` and `weight_v` (torch's older spectral norm). `fold` does
    the division once; nothing is learnt here, so no power iteration is needed.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> None:
        super().__init__()
        self.padding = kernel // 2
        self.weight_orig = nn.Parameter(torch.zeros(outputs, inputs, kernel, kernel))
        self.register_buffer("weight_u", torch.zeros(outputs))
        self.register_buffer("weight_v", torch.zeros(inputs * kernel * kernel))
        self.register_parameter("bias", nn.Parameter(torch.zeros(outputs)) if bias else None)
        self._folded = False

    @torch.no_grad()
    def fold(self) -> None:
        """Divides once, in float64; the checkpoint must be loaded."""
        if not self._folded:
            self.weight_orig.copy_(self._normalize(self.weight_orig.double()))
            self._folded = True

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight_orig if self._folded else self._normalize(self.weight_orig)
        return functional.conv2d(x, weight, self.bias, padding=self.padding)

    def _normalize(self, weight: Tensor) -> Tensor:
        u, v = self.weight_u.to(weight.dtype), self.weight_v.to(weight.dtype)
        return weight / torch.dot(u, weight.flatten(1) @ v)


class _Spade(nn.Module):
    """Instance norm whose gain and offset are read from the features at each place."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(features, _HIDDEN, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(_HIDDEN, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(_HIDDEN, channels, 3, padding=1)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """Normalizes `x`; `features` already has its height and width."""
        hidden = self.mlp_shared(features)
        return functional.instance_norm(x) * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)


class _SpadeBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, features: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = SpectralConv2d(inputs, middle, 3)
        self.conv_1 = SpectralConv2d(middle, outputs, 3)
        self.norm_0 = _Spade(inputs, features)
        self.norm_1 = _Spade(middle, features)
        self.changes_width = inputs != outputs
        if self.changes_width:
            self.conv_s = SpectralConv2d(inputs, outputs, 1, bias=False)
            self.norm_s = _Spade(inputs, features)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        if features.shape[2:] != x.shape[2:]:
            features = functional.interpolate(features, size=x.shape[2:])
        shortcut = self.conv_s(self.norm_s(x, features)) if self.changes_width else x
        out = self.conv_0(functional.leaky_relu(self.norm_0(x, features), _SLOPE))
        return shortcut + self.conv_1(functional.leaky_relu(self.norm_1(out, features), _SLOPE))


class Generator(nn.Module):
    """Six blocks at the size of the features, two doublings (nearest), a pixel shuffle for the third."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        features = sizes.feature_channels
        self.fc = nn.Conv2d(features, 2 * features, 3, padding=1)
        for index in range(_MIDDLE):
            self.add_module(f"G_middle_{index}", _SpadeBlock(2 * features, 2 * features, features))
        self.up_0 = _SpadeBlock(2 * features, features, features)
        self.up_1 = _SpadeBlock(features, sizes.generator_channels, features)
        self.conv_img = nn.Sequential(
            nn.Conv2d(sizes.generator_channels, 12, 3, padding=1), nn.PixelShuffle(2)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Returns RGB 0..1 (batch, 3, 512, 512) of features (batch, 256, 64, 64)."""
        x = self.fc(features)
        for index in range(_MIDDLE):
            x = self.get_submodule(f"G_middle_{index}")(x, features)
        for block in (self.up_0, self.up_1):
            x = block(functional.interpolate(x, scale_factor=2.0), features)
        return torch.sigmoid(self.conv_img(functional.leaky_relu(x, _SLOPE)))


def fold_spectral_norms(module: nn.Module) -> None:
    """Divides every spectral weight once; for inference only, after the checkpoint is loaded."""
    for layer in module.modules():
        if isinstance(layer, SpectralConv2d):
            layer.fold()


class WarpingNetwork(nn.Module):
    """Warps the feature volume as the source's keypoints moved, and projects it to the generator's features.

    Each keypoint proposes a sparse motion of the whole volume; an hourglass predicts the mask with which a
    place follows each of them.
    """

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


class Perceptron(nn.Module):
    """Linear layers with rectifiers between them."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.mlp = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)


def stitch(stitching: Perceptron, kp_source: Tensor, kp_driving: Tensor) -> Tensor:
    """Returns the driving keypoints (batch, 21, 3), corrected so that the shoulders stay as in the source."""
    delta = stitching(torch.cat([kp_source.flatten(1), kp_driving.flatten(1)], dim=1))
    kp_stitched = kp_driving + delta[:, : 3 * KEYPOINTS].unflatten(1, (KEYPOINTS, 3))
    kp_stitched[..., :2] += delta[:, None, 3 * KEYPOINTS :]
    return kp_stitched


def retarget(perceptron: Perceptron, kp_source: Tensor, ratios: Tensor) -> Tensor:
    """Returns what to add to the source's keypoints (batch, 21, 3) so that eyes or lips open by the target.

    ratios: (batch, 3) for eyes: the source's left and right, then the target; (batch, 2) for lips: the
    source's, then the target.
    """
    return perceptron(torch.cat([kp_source.flatten(1), ratios], dim=1)).unflatten(1, (KEYPOINTS, 3))


class AppearanceExtractor(nn.Module):
    """Two halvings, then the channels are stood up as depth and refined by 3-D residual blocks."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        widths = [min(sizes.most_channels, sizes.channels * 2**level) for level in range(sizes.halvings + 1)]
        self.depth = sizes.volume_depth
        self.first = ConvNorm2d(3, sizes.channels)
        self.down_blocks = nn.ModuleList(DownBlock2d(inputs, outputs) for inputs, outputs in pairwise(widths))
        self.second = nn.Conv2d(widths[-1], sizes.most_channels, 1)
        self.resblocks_3d = nn.Sequential(
            OrderedDict(
                (f"3dr{index}", ResBlock3d(sizes.volume_channels)) for index in range(sizes.volume_blocks)
            )
        )

    def forward(self, picture: Tensor) -> Tensor:
        """Returns features (batch, 32, 16, 64, 64) of RGB pictures 0..1 (batch, 3, 256, 256)."""
        x = self.first(picture)
        for block in self.down_blocks:
            x = block(x)
        return self.resblocks_3d(self.second(x).unflatten(1, (-1, self.depth)))


class Networks(nn.Module):
    """F, M, W, G, the stitching S and the two retargeting R, in evaluation mode."""

    def __init__(self, sizes: Sizes = PUBLISHED) -> None:
        super().__init__()
        self.sizes = sizes
        self.appearance = AppearanceExtractor(sizes)
        self.motion = MotionExtractor()
        self.warping = WarpingNetwork(sizes)
        self.generator = Generator(sizes)
        self.stitching = Perceptron(STITCHING)
        self.eyes = Perceptron(EYES)
        self.lips = Perceptron(LIPS)
        self.requires_grad_(False)
        self.eval()

    def prepare_inference(self, device: torch.device, dtype: torch.dtype) -> Networks:
        """Folds norms into the weights and moves all to `device`, the large networks in `dtype`.

        What is small and decides where things are (heads of M, S, R) stays float32.
        """
        fold_norms(self)
        fold_spectral_norms(self)
        self.to(device)
        for network in (self.appearance, self.motion, self.warping, self.generator):
            network.to(dtype)
        self.motion.keep_heads_in_float32()
        return self
