"""Translates failures of a card into errors with a hint; both engines on torch run inside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from avatar.engines.card_memory import Card, find_card, hold_to_lease, out_of_memory
from avatar.errors import Unavailable, first_line

LOST = "gpu.lost"
NOT_OPENED = "gpu.not_opened"
TOO_OLD = "gpu.too_old"
_FULL = (
    "alloc_failed",
    "cuda error: out of memory",
    "cublas_status_not_initialized",
    "unable to find an engine",
)
"""What the driver, cuBLAS (its handle takes memory) and cuDNN (a workspace does) say of a full card."""
_SIGNS = ("cuda error", "cudnn error", "cublas", "no cuda-capable device", "device-side assert", "hip error")
_ARCHITECTURE = re.compile(r"(?:sm|compute)_(\d+)")
_FAULTS = (RuntimeError, torch.cuda.DeferredCudaCallError)
"""The second is torch's for what failed while it opened the card, and no RuntimeError."""


def open_card(engine: str) -> Card | None:
    """The first card, which `engine` is to work on; None without one. Raises Unavailable `gpu.not_opened` for
    one that is there and fails or is kept by others, `gpu.too_old`, `gpu.out_of_memory` where nothing of it
    is left.
    """
    try:
        card = find_card()
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or is_full(error):
            raise out_of_memory(error, low=True, engine=engine) from error
        raise Unavailable(
            NOT_OPENED,
            f"The card cannot be opened: {first_line(error)}.",
            "Look at nvidia-smi and the kernel's log (Xid). Another program may keep the card to itself.",
        ) from error
    if card is not None:
        _require_kernels(card)
    return card


def _require_kernels(card: Card) -> None:
    """Raises Unavailable `gpu.too_old` where torch was built for newer cards: each kernel would fail, as if
    the card were lost.
    """
    built = [int(digits[1]) for name in torch.cuda.get_arch_list() if (digits := _ARCHITECTURE.match(name))]
    if built and card.compute < min(built):
        raise Unavailable(
            TOO_OLD,
            f"{card.name} is of compute capability {card.compute / 10:.1f}, and this PyTorch is built for"
            f" {min(built) / 10:.1f} and newer.",
            "Use a card of the Turing generation (GTX 16, RTX 20, T4) or a newer one; without a card"
            " (CUDA_VISIBLE_DEVICES=) the processor draws, slowly.",
        )


@contextmanager
def answering_card() -> Iterator[None]:
    """Raises Unavailable `gpu.lost` when a card fails or vanishes in the block. Full memory is another error,
    which the engines handle.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except _FAULTS as error:
        if is_full(error):
            raise torch.OutOfMemoryError(first_line(error)) from error
        if not is_lost(error):
            raise
        raise Unavailable(
            LOST,
            f"The card stopped answering: {first_line(error)}.",
            "Look at nvidia-smi and the kernel's log (Xid). The same order goes on with what was finished.",
        ) from error


@contextmanager
def hold_card(engine: str, *, low: bool) -> Iterator[None]:
    """A whole run without a holder: torch is held to our lease of the card, and a card that fails or is full
    at any step of it, loading too, is told as such.

    low: see `out_of_memory`.
    """
    try:
        card = open_card(engine)
        with answering_card():
            if card is not None:
                hold_to_lease(card)
            yield
    except torch.OutOfMemoryError as error:
        raise out_of_memory(error, low=low, engine=engine) from error


def is_full(error: Exception) -> bool:
    """Returns whether a library says in its own words that the card has no memory left."""
    message = str(error).lower()
    return any(sign in message for sign in _FULL)


def is_lost(error: Exception) -> bool:
    """Returns whether torch says that the card, and not the program, is at fault."""
    kinds = (getattr(torch, "AcceleratorError", ()), torch.cuda.DeferredCudaCallError)
    message = str(error).lower()
    return isinstance(error, kinds) or any(sign in message for sign in _SIGNS)
