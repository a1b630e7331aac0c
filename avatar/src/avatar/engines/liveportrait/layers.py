"""Convolution blocks that the appearance extractor and the warping network share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvNorm2d(nn.Module):
    """3 x 3 convolution and batch norm, then a rectifier that leaks `slope` below zero."""

    def __init__(self, inputs: int, outputs: int, slope: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.norm(self.conv(x)), self.slope)


class DownBlock2d(ConvNorm2d):
    """The same, and half the height and width."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(super().forward(x), 2)


class ConvNorm3d(nn.Module):
    """3 x 3 x 3 convolution, batch norm and rectifier over (batch, channels, depth, height, width)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, padding=1)
        self.norm: nn.Module = nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.conv(x)))


class DownBlock3d(ConvNorm3d):
    """The same, and half the height and width; depth stays."""

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        # Slices are pooled as channels: the processor has no 3-D pooling in half precision.
        return functional.avg_pool2d(x.flatten(1, 2), 2).unflatten(1, x.shape[1:3])


class UpBlock3d(ConvNorm3d):
    """Twice the height and width (nearest: trilinear would move the picture by 10 %), then the same."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(functional.interpolate(x, scale_factor=(1.0, 2.0, 2.0)))


class ResBlock3d(nn.Module):
    """Two norm-rectifier-convolution steps added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1: nn.Module = nn.BatchNorm3d(channels)
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm2: nn.Module = nn.BatchNorm3d(channels)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(functional.relu(self.norm1(x)))
        return x + self.conv2(functional.relu(self.norm2(out)))


def fold_norms(module: nn.Module) -> None:
    """Puts every batch norm that follows a convolution into its weights: fewer steps, the same result.

    For inference only, after the checkpoint is loaded.
    """
    for block in module.modules():
        if isinstance(block, ConvNorm2d | ConvNorm3d):
            pairs = [("conv", "norm")]
        elif isinstance(block, ResBlock3d):
            pairs = [("conv1", "norm2")]
        else:
            continue
        for conv, norm in pairs:
            if not isinstance(getattr(block, norm), nn.Identity):
                _fold(getattr(block, conv), getattr(block, norm))
                setattr(block, norm, nn.Identity())


@torch.no_grad()
def _fold(conv: nn.Conv2d | nn.Conv3d, norm: nn.BatchNorm2d | nn.BatchNorm3d) -> None:
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    conv.weight.mul_(gain.reshape(-1, *[1] * (conv.weight.ndim - 1)))
    conv.bias.copy_((conv.bias - norm.running_mean) * gain + norm.bias)
