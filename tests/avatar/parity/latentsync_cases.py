"""The cases in which our LatentSync and the original are compared: reduced sizes, seeded weights and inputs.

`bench/parity/latentsync.py` runs the original on them and keeps figures; the tests run ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from avatar.engines.latentsync.align import Aligner
from avatar.engines.latentsync.faces import (
    crop_of,
    cut_out,
    face_mask,
    faces_to_tensor,
    mask_faces,
    mask_to_latent,
    paste_surroundings,
    warp_back,
)
from avatar.engines.latentsync.sampler import Conditions, Sampler
from avatar.engines.latentsync.shapes import UNetShape
from avatar.engines.latentsync.unet import LatentSyncUNet
from avatar.engines.latentsync.vae import FaceCoder, open_vae
from avatar.engines.latentsync.whisper import LogMel, WhisperEncoder, feature_blocks, frame_tokens
from seeded import Array, noise, weights

FIGURES = Path(__file__).parent / "latentsync.npz"
SMALL = UNetShape(block_channels=(32, 64, 96, 96))
"""The structure of the published network, a tenth of its width."""
SMALL_VAE = {"block_out_channels": (32, 32, 64, 64), "layers_per_block": 1, "sample_size": 64}
SIDE_PX = 64
CHUNK = 16
FRAMES = 20
"""A whole chunk and a short one."""
STEPS = 3
GUIDANCE = 1.5
GENERATOR_SEED = 1247
FRAME_SIZE = (320, 240)
CPU = torch.device("cpu")
Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]
"""(2, 3) from frame to crop."""

CONSTANT = ("pos_encoder.pe", "positional_embedding")
"""Buffers of the state dicts that follow from a formula."""


def fill(module: Any, seed: int, only: str = "") -> None:
    """Seeded weights for a network of either side; what follows from a formula stays."""
    state = module.state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items() if key.startswith(only)}
    tensors = weights({key.removeprefix(only): shape for key, shape in shapes.items()}, seed)
    for key, value in tensors.items():
        if not key.endswith(CONSTANT):
            state[only + key] = torch.from_numpy(tame(key, value))
    module.load_state_dict(state)
    module.eval().requires_grad_(False)


def tame(key: str, value: Array) -> Array:
    """Branches beside a shortcut get less weight, or a random network of this depth drowns its input."""
    small = (
        "to_out.0.weight",
        "net.2.weight",
        "conv2.weight",
        "proj_out.weight",
        "out.weight",
        "mlp.2.weight",
    )
    return np.asarray(value * np.float32(0.5)) if key.endswith(small) else value


def sound(seconds: float) -> Array:
    """Bursts of noise and tones, 16 kHz."""
    count = int(seconds * 16_000)
    at = np.arange(count, dtype=np.float64) / 16_000
    tones = sum(np.sin(2 * np.pi * hertz * at + hertz) for hertz in (137.0, 410.0, 1210.0, 3300.0))
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 2.3 * at)
    return np.asarray(swell * (0.1 * tones + 0.05 * noise("sound", (count,))), np.float32)


SOUNDS = {"short": 1.3, "two windows": 31.37}


def frames(count: int) -> Pixels:
    """RGB frames (count, 240, 320, 3) of moving smooth colour with some grain."""
    width, height = FRAME_SIZE
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    tensors = []
    for index in range(count):
        waves = [np.sin(x / (17 + 4 * c) + y / (23 - 3 * c) + index / (3 + c)) for c in range(3)]
        grain = 8 * noise(f"grain {index}", (height, width, 3))
        tensors.append(np.clip(128 + 90 * np.stack(waves, axis=-1) + grain, 0, 255).astype(np.uint8))
    return np.stack(tensors)


def anchors(count: int) -> npt.NDArray[np.float64]:
    """Left brow, right brow, nose (count, 3, 2) of a face that moves, turns, grows, and leaves the frame."""
    face = np.array([[-24.0, -18.0], [25.0, -19.0], [1.0, 12.0]])
    tensors = []
    for index in range(count):
        angle, size = 0.25 * np.sin(index / 5), 1.0 + 0.3 * np.sin(index / 7)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = np.array([160 + 70 * np.sin(index / 4), 110 + 40 * np.cos(index / 6)])
        tensors.append(size * face @ turn.T + centre)
    return np.round(np.stack(tensors))


def plain_frames(count: int) -> Pixels:
    """The same in four levels, as plain surfaces with hard edges."""
    return np.asarray(frames(count) // 64 * 64, np.uint8)


def network_inputs(frames_per_chunk: int, chunks: int = 2, side: int = 16) -> tuple[Array, Array]:
    """Latents (chunks * frames, 13, side, side) and tokens (chunks * frames, 50, 384)."""
    count = frames_per_chunk * chunks
    return noise("latents", (count, 13, side, side)), noise("tokens", (count, 50, 384))


def our_unet(shape: UNetShape = SMALL) -> LatentSyncUNet:
    tensors = LatentSyncUNet(shape)
    fill(tensors, 1)
    return tensors


def our_whisper() -> WhisperEncoder:
    tensors = WhisperEncoder()
    fill(tensors, 2)
    return tensors


def our_vae() -> Any:
    tensors = open_vae(**SMALL_VAE)
    fill(tensors, 3)
    return tensors


def our_tokens(samples: Array, count: int) -> torch.Tensor:
    return torch.stack(list(frame_tokens(feature_blocks(LogMel(samples), our_whisper()), count)))


def our_matrices(count: int) -> list[Matrix]:
    aligner = Aligner(SIDE_PX, "published")
    return [aligner.matrix(three) for three in anchors(count)]


def our_crops(pictures: Pixels, matrices: list[Matrix]) -> Pixels:
    """Returns the crops for the networks, (frames, side, side, 3)."""
    return np.stack([cut_out(p, m, SIDE_PX, CPU) for p, m in zip(pictures, matrices, strict=True)])


def whole_crops(pictures: Pixels, matrices: list[Matrix]) -> Array:
    """Crops before they are cut to levels, (frames, height, width, 3)."""
    tensors = [crop_of(p, m, SIDE_PX, CPU) for p, m in zip(pictures, matrices, strict=True)]
    return np.asarray(torch.stack(tensors).permute(0, 2, 3, 1))


def our_faces(samples: Array, crops: Pixels) -> torch.Tensor:
    """All stages from crops and a sound to drawn faces (frames, 3, side, side), as the original has them."""
    tokens = our_tokens(samples, len(crops))
    generator = torch.Generator().manual_seed(GENERATOR_SEED)
    coder = FaceCoder(our_vae(), "sample", at_once=CHUNK, generator=generator)
    side = SIDE_PX // 8
    start = torch.randn((1, 4, 1, side, side), generator=generator)[:, :, 0]
    keep = torch.from_numpy(face_mask(SIDE_PX))
    sampler = Sampler(our_unet(), STEPS, GUIDANCE)
    drawn = []
    for first in range(0, len(crops), CHUNK):
        part = slice(first, first + CHUNK)
        seen = faces_to_tensor(crops[part], CPU, torch.float32)
        masked = coder.encode(mask_faces(seen, keep))
        known = Conditions(mask_to_latent(keep), masked, coder.encode(seen), tokens[part])
        latents = sampler.denoise(start, [known])[0]
        drawn.append(paste_surroundings(coder.decode(latents), seen, keep))
    return torch.cat(drawn)


def our_frames(pictures: Pixels, faces: torch.Tensor, matrices: list[Matrix]) -> Array:
    """Faces laid back, before they are cut to levels."""
    out = pictures.astype(np.float32)
    for frame, face, matrix in zip(out, faces, matrices, strict=True):
        patch = warp_back(frame, face, matrix)
        if patch is not None:
            height, width = patch.pixels.shape[:2]
            frame[patch.top : patch.top + height, patch.left : patch.left + width] = patch.pixels
    return out


def smooth_faces(count: int, side: int) -> torch.Tensor:
    """Drawn faces that need no network: smooth, in -1..1."""
    return (
        torch.from_numpy(np.tanh(noise("faces", (count, 3, side // 8, side // 8))))
        .repeat_interleave(8, dim=2)
        .repeat_interleave(8, dim=3)
    )


def shapes_of(state: Mapping[str, Any]) -> list[str]:
    return sorted(f"{key} {tuple(value.shape)}" for key, value in state.items())
