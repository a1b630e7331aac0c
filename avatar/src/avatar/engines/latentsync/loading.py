"""The three networks of LatentSync, filled from the operator's files; every name and shape must fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from avatar.engines.latentsync.attention import PositionalEncoding, positional_encoding
from avatar.engines.latentsync.memory import Plan
from avatar.engines.latentsync.shapes import UNetShape
from avatar.engines.latentsync.unet import LatentSyncUNet
from avatar.engines.latentsync.vae import open_vae, rename_attention_keys
from avatar.engines.latentsync.whisper import WhisperEncoder
from avatar.engines.weights import read_checkpoint, strict_load
from avatar.errors import InvalidInput

ENCODER = "encoder."
"""What the names of whisper's encoder begin with in its file; the rest of the file is not used."""


@dataclass(frozen=True, slots=True)
class Files:
    """Paths of the checkpoints."""

    unet: Path
    whisper: Path
    vae: Path


@dataclass(frozen=True, slots=True)
class Networks:
    """Ready to run. motion: whether the checkpoint holds motion modules; without them frames stand alone."""

    unet: LatentSyncUNet
    whisper: WhisperEncoder
    vae: Any
    motion: bool = True


def load_networks(files: Files, plan: Plan, shape: UNetShape | None = None, **vae: Any) -> Networks:
    """All three on the plan's device. Raises `weights.mismatch`, `weights.unsafe`, `weights.unreadable`.

    `shape` and `vae` are for networks of other sizes than the published ones.
    """
    unet, motion = load_unet(files.unet, plan.dtype, shape)
    networks = Networks(
        unet=unet.to(memory_format=torch.channels_last),
        whisper=load_whisper(files.whisper).to(plan.dtype),
        # Not by the class's own `to`, which warns that it casts.
        vae=torch.nn.Module.to(load_vae(files.vae, **vae), plan.dtype, memory_format=torch.channels_last),
        motion=motion,
    )
    for network in (networks.unet, networks.whisper, networks.vae):
        network.eval().requires_grad_(False)
    # whisper-tiny is small, and hears while the others draw: it is never parked.
    networks.whisper.to(plan.device)
    for network in (networks.unet, networks.vae):
        network.to("cpu" if plan.park else plan.device)
    return networks


def load_unet(path: Path, dtype: torch.dtype, shape: UNetShape | None = None) -> tuple[LatentSyncUNet, bool]:
    """The denoiser, and whether the file holds its motion modules."""
    with torch.device("meta"):
        unet = LatentSyncUNet(shape)
    absent = strict_load(
        unet,
        read_checkpoint(path),
        path.name,
        constants=lambda name: name.endswith("pos_encoder.pe"),
        optional=[lambda name: ".motion_modules." in name],
        dtype=dtype,
    )
    motion = not any(".motion_modules." in name and "pos_encoder" not in name for name in absent)
    if not motion:
        unet.disable_motion()
    for name, module in unet.named_modules():
        if isinstance(module, PositionalEncoding):
            _fill_positions(module, f"{path.name}: {name}", dtype)
    return unet, motion


def _fill_positions(module: PositionalEncoding, name: str, dtype: torch.dtype) -> None:
    """Gives the table its values; a file that has others is not of this network."""
    _, count, channels = module.pe.shape
    expected = positional_encoding(count, channels)
    if not module.pe.is_meta and not torch.allclose(module.pe.float(), expected, atol=2e-3):
        raise InvalidInput("weights.mismatch", f"{name} has other positions than LatentSync.")
    module.pe = expected.to(dtype)


def load_whisper(path: Path) -> WhisperEncoder:
    """The encoder of whisper-tiny."""
    tensors = read_checkpoint(path)
    ours = {key.removeprefix(ENCODER): value for key, value in tensors.items() if key.startswith(ENCODER)}
    encoder = WhisperEncoder()
    strict_load(encoder, ours, path.name, constants=lambda name: name == "positional_embedding")
    return encoder


def load_vae(path: Path, **changes: Any) -> Any:
    """Stable Diffusion's autoencoder, in the older or the newer naming."""
    vae = open_vae(**changes)
    strict_load(vae, rename_attention_keys(read_checkpoint(path)), path.name)
    return vae
