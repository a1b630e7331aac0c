"""G, the generator: the warped map of features to the picture, by SPADE blocks (arXiv 1903.07291)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar.engines.liveportrait.sizes import Sizes

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
