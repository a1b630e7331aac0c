"""S and R, small perceptrons: stitching the moved head to still shoulders, and setting how far eyes and lips
open.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from avatar.engines.liveportrait.sizes import KEYPOINTS


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


def stitch(stitching: Perceptron, source: Tensor, driven: Tensor) -> Tensor:
    """The driven keypoints (batch, 21, 3), corrected so that the shoulders stay where the source has them."""
    change = stitching(torch.cat([source.flatten(1), driven.flatten(1)], dim=1))
    stitched = driven + change[:, : 3 * KEYPOINTS].unflatten(1, (KEYPOINTS, 3))
    stitched[..., :2] += change[:, None, 3 * KEYPOINTS :]
    return stitched


def retarget(perceptron: Perceptron, source: Tensor, ratios: Tensor) -> Tensor:
    """What to add to the source's keypoints (batch, 21, 3) so that eyes or lips open as wanted.

    ratios: (batch, 3) for eyes: the source's left and right, then the wanted one; (batch, 2) for lips: the
    source's, then the wanted one.
    """
    return perceptron(torch.cat([source.flatten(1), ratios], dim=1)).unflatten(1, (KEYPOINTS, 3))
