"""Stable Diffusion's autoencoder: faces to latents and back, also by bands of rows for less memory.

Tiles that are coded one by one and blended have norms and attention of their own: with random weights the
usual way (half a side, a quarter or half overlapping) is 40 to 80 % off. In bands, norms see the whole
picture, attention (which sits where the picture is smallest) is left whole, and a band takes the row above
and below it along, as the convolution would have seen them. So nothing is blended, and there is no seam.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from avatar.engines.latentsync.fused import group_norm
from avatar.engines.latentsync.shapes import LATENT_CHANNELS


def encode_in_bands(vae: Any, faces: Tensor, bands: int) -> Tensor:
    """Returns what `vae.encode` does, in bands of rows: mean and log variance (n, 8, side / 8, side / 8) of
    faces (n, 3, side, side).
    """
    network = vae.encoder
    x = network.conv_in(faces)
    for level in network.down_blocks:
        for resnet in level.resnets:
            x = _resnet_block(resnet, x, bands)
        for downsampler in level.downsamplers or ():
            x = downsampler.conv(functional.pad(x, (0, 1, 0, 1)))
    x = _normed_conv(network.conv_norm_out, network.conv_out, network.mid_block(x), bands)
    return x if vae.quant_conv is None else vae.quant_conv(x)


def decode_in_bands(vae: Any, latents: Tensor, bands: int) -> Tensor:
    """Returns what `vae.decode` does, in bands of rows: faces (n, 3, side, side) of latents
    (n, 4, side / 8, side / 8).
    """
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

    def group_rows(first: int, last: int) -> Tensor:
        return x[:, :, first:last].float().unflatten(1, (norm.num_groups, -1))

    count = x.shape[1] // norm.num_groups * x.shape[2] * x.shape[3]
    sums = [group_rows(*row).sum((2, 3, 4), keepdim=True) for row in rows]
    mean = torch.stack(sums).sum(0) / count
    squares = [(group_rows(*row) - mean).square_().sum((2, 3, 4), keepdim=True) for row in rows]
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


SCALING = 0.18215
Posterior = Literal["mean", "sample"]
"""What stands for a face: the middle of what the encoder says, or a draw from it, as the original does.
A frame that lies in two chunks is the same in both with "mean"."""
CONFIG: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": LATENT_CHANNELS,
    "norm_num_groups": 32,
    "sample_size": 512,
}
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def open_vae(**changes: Any) -> Any:
    """An AutoencoderKL of the published shape, without weights; `changes` are for smaller ones in tests."""
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(**CONFIG | changes)
    for module in vae.modules():
        if type(module) is nn.GroupNorm:
            module.__class__ = PictureNorm
    return vae


class PictureNorm(nn.GroupNorm):
    """GroupNorm of a picture (n, channels, h, w) by `fused.group_norm`; of tokens by torch."""

    def forward(self, x: Tensor) -> Tensor:
        return group_norm(x, self) if x.dim() == 4 else super().forward(x)


def rename_attention_keys(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights with today's names of the attention layers; the published file has older ones, some as 1 x 1
    convolutions."""
    out = {}
    for key, value in weights.items():
        parts = key.split(".")
        if "attentions" in parts and parts[-2] in _OLD_NAMES:
            parts[-2] = _OLD_NAMES[parts[-2]]
        if "attentions" in parts and value.shape[2:] == (1, 1):
            value = value[:, :, 0, 0]
        out[".".join(parts)] = value
    return out


@dataclass(slots=True)
class FaceCoder:
    """Faces (n, 3, side, side) in -1..1 to latents (n, 4, side / 8, side / 8) and back.

    at_once: faces that go through the network together; bands: in so many bands of rows, for less memory. The
    result does not depend on them.
    """

    vae: Any
    posterior: Posterior = "mean"
    at_once: int = 4
    generator: torch.Generator | None = None
    bands: int = 1

    @torch.inference_mode()
    def encode(self, faces: Tensor) -> Tensor:
        latents = [self._encode_batch(part) for part in faces.split(self.at_once)]
        return torch.cat(latents) * SCALING

    def _encode_batch(self, faces: Tensor) -> Tensor:
        faces = faces.contiguous(memory_format=torch.channels_last)
        posterior = self._posterior_of(faces)
        latents: Tensor = (
            posterior.mean if self.posterior == "mean" else posterior.sample(generator=self.generator)
        )
        return latents

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        scaled = (latents / SCALING).contiguous(memory_format=torch.channels_last)
        return torch.cat([self._decode_batch(part) for part in scaled.split(self.at_once)])

    def _posterior_of(self, faces: Tensor) -> Any:
        if self.bands == 1:
            return self.vae.encode(faces).latent_dist
        from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

        return DiagonalGaussianDistribution(encode_in_bands(self.vae, faces, self.bands))

    def _decode_batch(self, latents: Tensor) -> Tensor:
        if self.bands == 1:
            decoded: Tensor = self.vae.decode(latents).sample
            return decoded
        return decode_in_bands(self.vae, latents, self.bands)
