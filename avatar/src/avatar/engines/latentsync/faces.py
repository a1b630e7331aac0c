"""Between pictures of faces and what the networks take: range, mask, and the surroundings put back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor

from avatar.engines.latentsync.shapes import VAE_SCALE

Pixels = npt.NDArray[np.uint8]


def as_faces(pictures: Sequence[Pixels], device: torch.device, dtype: torch.dtype) -> Tensor:
    """RGB pictures (side, side, 3) as faces (n, 3, side, side) in -1..1."""
    stacked = torch.from_numpy(np.stack(pictures)).to(device)
    return (stacked.permute(0, 3, 1, 2).float() / 127.5 - 1).to(dtype)


def without_mouth(faces: Tensor, keep: Tensor) -> Tensor:
    """Faces with grey (0) where `keep` (side, side) is 0."""
    return faces * keep.to(faces.dtype)


def keep_latent(keep: Tensor) -> Tensor:
    """`keep` (side, side) as the mask channel (1, 1, side / 8, side / 8): every eighth pixel."""
    size = (keep.shape[0] // VAE_SCALE, keep.shape[1] // VAE_SCALE)
    return functional.interpolate(keep[None, None], size=size, mode="nearest")


def with_surroundings(drawn: Tensor, faces: Tensor, keep: Tensor) -> Tensor:
    """The drawn faces where `keep` is 0, and the filmed ones where it is 1."""
    weight = keep.to(drawn.dtype)
    return drawn * (1 - weight) + faces * weight
