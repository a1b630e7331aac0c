"""The autoencoder's passes by bands of rows: less memory, the same picture.

Tiles that are coded one by one and blended have norms and attention of their own: with random weights the
usual way (half a side, a quarter or half overlapping) is 40 to 80 % off. Here norms see the whole picture,
attention (which sits where the picture is smallest) is left whole, and a band takes the row above and below
it along, as the convolution would have seen them. So nothing is blended, and there is no seam.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn


def encode(vae: Any, faces: Tensor, bands: int) -> Tensor:
    """As `vae.encode`: faces (n, 3, side, side) to mean and log variance (n, 8, side / 8, side / 8)."""
    network = vae.encoder
    x = network.conv_in(faces)
    for level in network.down_blocks:
        for resnet in level.resnets:
            x = _resnet_block(resnet, x, bands)
        for downsampler in level.downsamplers or ():
            x = downsampler.conv(functional.pad(x, (0, 1, 0, 1)))
    x = _normed_conv(network.conv_norm_out, network.conv_out, network.mid_block(x), bands)
    return x if vae.quant_conv is None else vae.quant_conv(x)


def decode(vae: Any, latents: Tensor, bands: int) -> Tensor:
    """As `vae.decode`: (n, 4, side / 8, side / 8) to faces (n, 3, side, side)."""
    network = vae.decoder
    x = latents if vae.post_quant_conv is None else vae.post_quant_conv(latents)
    x = network.mid_block(network.conv_in(x))
    for level in network.up_blocks:
        for resnet in level.resnets:
            x = _resnet_block(resnet, x, bands)
        for upsampler in level.upsamplers or ():
            x = _upsample_conv(upsampler.conv, x, bands)
    return _normed_conv(network.conv_norm_out, network.conv_out, x, bands)


def _resnet_block(block: Any, x: Tensor, bands: int) -> Tensor:
    inner = _normed_conv(block.norm1, block.conv1, x, bands)
    inner = _normed_conv(block.norm2, block.conv2, inner, bands)
    if block.conv_shortcut is None:
        return inner.add_(x)
    for first, last in _rows(x.shape[2], bands):
        inner[:, :, first:last].add_(block.conv_shortcut(x[:, :, first:last]))
    return inner


def _normed_conv(norm: nn.GroupNorm, conv: nn.Conv2d, x: Tensor, bands: int) -> Tensor:
    """Norm, SiLU and a 3 x 3 convolution; only bands of what lies between them exist."""
    gain, offset = _norm_of(norm, x, bands)
    out = _like(x, conv.out_channels, x.shape[2], x.shape[3])
    for first, last in _rows(x.shape[2], bands):
        part, above, below = _with_neighbours(x, first, last)
        part = functional.silu((part.float() * gain).add_(offset), inplace=True).to(x.dtype)
        out[:, :, first:last] = _conv(conv, part, above, below)
    return out


def _upsample_conv(conv: nn.Conv2d, x: Tensor, bands: int) -> Tensor:
    """Twice the size (nearest), then the convolution."""
    out = _like(x, conv.out_channels, 2 * x.shape[2], 2 * x.shape[3])
    for first, last in _rows(x.shape[2], bands):
        part, above, below = _with_neighbours(x, first, last)
        wide = functional.interpolate(part, scale_factor=2.0, mode="nearest")
        wide = wide[:, :, 1 - above : wide.shape[2] - (1 - below)]  # of a neighbour's two rows one is seen
        out[:, :, 2 * first : 2 * last] = _conv(conv, wide, above, below)
    return out


def _norm_of(norm: nn.GroupNorm, x: Tensor, bands: int) -> tuple[Tensor, Tensor]:
    """Gain and offset (n, channels, 1, 1) in float32 that the whole picture's norm comes to."""
    rows = _rows(x.shape[2], bands)

    def grouped(first: int, last: int) -> Tensor:
        return x[:, :, first:last].float().unflatten(1, (norm.num_groups, -1))

    count = x.shape[1] // norm.num_groups * x.shape[2] * x.shape[3]
    sums = [grouped(*row).sum((2, 3, 4), keepdim=True) for row in rows]
    mean = torch.stack(sums).sum(0) / count
    squares = [(grouped(*row) - mean).square_().sum((2, 3, 4), keepdim=True) for row in rows]
    scale = (torch.stack(squares).sum(0) / count + norm.eps).rsqrt()
    per_group = (1, norm.num_groups, -1, 1, 1)
    gain = scale * norm.weight.float().view(per_group)
    offset = norm.bias.float().view(per_group) - mean * gain
    return gain.flatten(1, 2), offset.flatten(1, 2)


def _with_neighbours(x: Tensor, first: int, last: int) -> tuple[Tensor, int, int]:
    """The band with the rows around it, and for both sides 1 where there is none."""
    above, below = int(first == 0), int(last == x.shape[2])
    return x[:, :, first - 1 + above : last + 1 - below], above, below


def _conv(conv: nn.Conv2d, part: Tensor, above: int, below: int) -> Tensor:
    padded = functional.pad(part, (1, 1, above, below))
    return functional.conv2d(padded, conv.weight, conv.bias)


def _like(x: Tensor, channels: int, height: int, width: int) -> Tensor:
    return torch.empty(
        (len(x), channels, height, width), dtype=x.dtype, device=x.device, memory_format=torch.channels_last
    )


def _rows(height: int, bands: int) -> list[tuple[int, int]]:
    step = max(1, -(-height // bands))
    return [(first, min(height, first + step)) for first in range(0, height, step)]
