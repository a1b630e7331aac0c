"""The layers between the denoiser's matrix products: by Triton kernels on a card, by torch elsewhere.

Both compute the same but for rounding. Compiled networks (`--compile`) take torch's, which TorchInductor
fuses itself; so does a card whose machine has no Triton, or no C compiler and Python headers for it.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

log = logging.getLogger(__name__)


class _Kernels:
    """The kernels, until one cannot be built: then torch computes, and why is in the log, once."""

    def __init__(self) -> None:
        self._usable = True

    def run(self, name: str, x: Tensor, *more: Any) -> Any:
        """Returns what a function of `kernels` does, or None where torch has to do it."""
        if not self._usable or not x.is_cuda or torch.compiler.is_compiling():
            return None
        try:
            from avatar.engines.latentsync import kernels

            return getattr(kernels, name)(x, *more)
        except torch.cuda.OutOfMemoryError:
            raise
        # Triton raises errors of many kinds, also those of the compiler that it calls.
        except Exception as error:
            self._usable = False
            log.warning("Triton builds no kernels here; LatentSync computes by torch, slower: %s", error)
            return None


_kernels = _Kernels()


def group_norm(
    x: Tensor, norm: nn.GroupNorm, num_frames: int = 1, *, silu: bool = False, added: Tensor | None = None
) -> Tensor:
    """Returns the norm of x (chunks * num_frames, channels, h, w) over all frames of a chunk at once.

    added: (channels,), is added to x before. silu: the norm goes through SiLU. The checkpoints were trained
    with norms over chunks: per frame instead, the denoiser's output moves by 7 %.
    """
    normed: Tensor | None = _kernels.run("group_norm", x, norm, num_frames, silu, added)
    if normed is not None:
        return normed
    if added is not None:
        x = x + added[:, None, None]
    count, channels, height, width = x.shape
    # In channels-last memory a chunk of frames is one tall picture without a copy.
    stacked = x.permute(0, 2, 3, 1).reshape(count // num_frames, num_frames * height, width, channels)
    tall = functional.group_norm(
        stacked.permute(0, 3, 1, 2), norm.num_groups, norm.weight, norm.bias, norm.eps
    )
    normed = tall.permute(0, 2, 3, 1).reshape(count, height, width, channels).permute(0, 3, 1, 2)
    return functional.silu(normed, inplace=True) if silu else normed


def layer_norm(x: Tensor, norm: nn.LayerNorm, table: Tensor | None = None, num_frames: int = 1) -> Tensor:
    """Returns the norm of x (chunks * num_frames, places, channels), to which `table` (num_frames, channels)
    of the frame is added.
    """
    return _add_layer_norm(x, None, norm, table, num_frames)[1]


def add_layer_norm(
    x: Tensor, branch: Tensor, norm: nn.LayerNorm, table: Tensor | None = None, num_frames: int = 1
) -> tuple[Tensor, Tensor]:
    """Returns x + branch, and its `layer_norm`."""
    return _add_layer_norm(x, branch, norm, table, num_frames)


def _add_layer_norm(
    x: Tensor, branch: Tensor | None, norm: nn.LayerNorm, table: Tensor | None, num_frames: int
) -> tuple[Tensor, Tensor]:
    both: tuple[Tensor, Tensor] | None = _kernels.run("add_layer_norm", x, branch, norm, table, num_frames)
    if both is not None:
        return both
    summed = x if branch is None else x + branch
    normed: Tensor = norm(summed)
    if table is not None:
        normed = (normed.unflatten(0, (-1, num_frames)) + table[:, None]).flatten(0, 1)
    return summed, normed


def geglu(projected: Tensor) -> Tensor:
    """Returns one half of the last dimension times the exact GELU of the other (GEGLU, Shazeer 2020)."""
    gated: Tensor | None = _kernels.run("geglu", projected)
    if gated is not None:
        return gated
    value, gate = projected.chunk(2, dim=-1)
    return torch.mul(value, functional.gelu(gate))


def add_biased(x: Tensor, y: Tensor, bias: Tensor) -> Tensor:
    """Returns x + y + bias, of pictures (n, channels, h, w) and (channels,)."""
    added: Tensor | None = _kernels.run("add_biased", x, y, bias)
    return added if added is not None else x + (y + bias[:, None, None])


def attend_over_frames(query: Tensor, key: Tensor, value: Tensor, heads: int, num_frames: int) -> Tensor:
    """Returns the attention of each place over the frames of its chunk, (chunks * num_frames, places,
    channels) of three such.
    """
    mixed: Tensor | None = _kernels.run("attend_over_frames", query, key, value, heads, num_frames)
    if mixed is not None:
        return mixed

    def by_place(x: Tensor) -> Tensor:
        return (
            x.unflatten(0, (-1, num_frames)).unflatten(-1, (heads, -1)).permute(0, 2, 3, 1, 4).flatten(0, 1)
        )

    mixed = functional.scaled_dot_product_attention(by_place(query), by_place(key), by_place(value))
    places = query.shape[1]
    return mixed.unflatten(0, (-1, places)).permute(0, 3, 1, 2, 4).flatten(3).flatten(0, 1)
