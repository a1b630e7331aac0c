"""Stable Diffusion's autoencoder between face crops and latents, on diffusers' AutoencoderKL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from avatar.engines.latentsync import bands
from avatar.engines.latentsync.shapes import LATENT_CHANNELS

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

    return AutoencoderKL(**CONFIG | changes)


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

        return DiagonalGaussianDistribution(bands.encode(self.vae, faces, self.bands))

    def _decode_batch(self, latents: Tensor) -> Tensor:
        if self.bands == 1:
            made: Tensor = self.vae.decode(latents).sample
            return made
        return bands.decode(self.vae, latents, self.bands)
