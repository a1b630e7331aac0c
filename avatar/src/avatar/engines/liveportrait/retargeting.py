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
