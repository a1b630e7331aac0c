"""M, the motion extractor: keypoints, expression and pose of a face, by a ConvNeXt V2 (arXiv 2301.00808)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar.engines.liveportrait.sizes import KEYPOINTS, POSE_BINS

_DEPTHS = (3, 3, 9, 3)
_WIDTHS = (96, 192, 384, 768)
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class RawMotion:
    """The output of M, before any arithmetic; float32, one row per picture."""

    kp: Tensor
    """(batch, 63): canonical keypoints, x y z in turn."""
    exp: Tensor
    """(batch, 63): expression, added to the turned keypoints."""
    pitch: Tensor
    """(batch, 66): logits over 3-degree bins; `yaw` and `roll` likewise."""
    yaw: Tensor
    roll: Tensor
    t: Tensor
    """(batch, 3): shift, of which x and y are used."""
    scale: Tensor
    """(batch, 1)."""


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (batch, channels, height, width)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class _GlobalResponseNorm(nn.Module):
    """Global response normalisation of (batch, height, width, channels): channels compete by their energy."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        # In half precision the sum of squares would overflow.
        energy = x.float().square().sum(dim=(1, 2), keepdim=True).sqrt()
        share = energy / (energy.mean(dim=-1, keepdim=True) + _EPSILON)
        return x + self.gamma * (x * share.to(x.dtype)) + self.beta


class _ConvNextBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=_EPSILON)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.grn = _GlobalResponseNorm(4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm(self.dwconv(x).movedim(1, -1))
        out = self.pwconv2(self.grn(functional.gelu(self.pwconv1(out))))
        return x + out.movedim(-1, 1)


class _Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        stem = nn.Sequential(nn.Conv2d(3, _WIDTHS[0], 4, stride=4), _ChannelNorm(_WIDTHS[0], eps=_EPSILON))
        self.downsample_layers = nn.ModuleList([stem])
        for inputs, outputs in pairwise(_WIDTHS):
            self.downsample_layers.append(
                nn.Sequential(_ChannelNorm(inputs, eps=_EPSILON), nn.Conv2d(inputs, outputs, 2, stride=2))
            )
        self.stages = nn.ModuleList(
            nn.Sequential(*(_ConvNextBlock(width) for _ in range(depth)))
            for width, depth in zip(_WIDTHS, _DEPTHS, strict=True)
        )
        self.norm = nn.LayerNorm(_WIDTHS[-1], eps=_EPSILON)
        heads = {"kp": 3 * KEYPOINTS, "exp": 3 * KEYPOINTS, "t": 3, "scale": 1}
        heads |= dict.fromkeys(("pitch", "yaw", "roll"), POSE_BINS)
        for name, outputs in heads.items():
            self.add_module(f"fc_{name}", nn.Linear(_WIDTHS[-1], outputs))

    def forward(self, x: Tensor) -> RawMotion:
        for shrink, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(shrink(x))
        pooled = self.norm(x.mean(dim=(2, 3))).to(self.fc_kp.weight.dtype)
        return RawMotion(
            **{
                name: self.get_submodule(f"fc_{name}")(pooled).float()
                for name in ("kp", "exp", "pitch", "yaw", "roll", "t", "scale")
            }
        )


class MotionExtractor(nn.Module):
    """ConvNeXt V2 tiny with a head for each quantity."""

    def __init__(self) -> None:
        super().__init__()
        self.detector = _Detector()

    def forward(self, picture: Tensor) -> RawMotion:
        """Returns the motion of RGB pictures 0..1 (batch, 3, 256, 256)."""
        return self.detector(picture)

    def keep_heads_in_float32(self) -> None:
        """Keeps the heads in float32 when the rest is halved: their sums are what moves the face."""
        for name, head in self.detector.named_children():
            if name.startswith("fc_"):
                head.float()
