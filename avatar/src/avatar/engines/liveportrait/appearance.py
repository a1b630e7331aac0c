"""F, the appearance extractor: a picture of a face to a volume of features."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

from torch import Tensor, nn

from avatar.engines.liveportrait.layers import ConvNorm2d, DownBlock2d, ResBlock3d
from avatar.engines.liveportrait.sizes import Sizes


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
