"""Reads a checkpoint without running anything in it: safetensors, or torch files by `weights_only`; engines
load their networks through it.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avatar.engines.weights.pickles import require_harmless, unreadable
from avatar.errors import InvalidInput, Unavailable, first_line

Tensors = dict[str, Any]
"""Name to tensor. Torch is an extra of the worker and has no types here."""

INSTALL_TORCH = (
    "Install the worker's extra `gpu`, in the folder avatar/:"
    " uv sync --locked --inexact --extra cpu --extra face --extra gpu."
)

WRAPPERS = ("state_dict", "model_state_dict")
PREFIX = "module."
"""What `DataParallel` puts before every name."""


def import_torch() -> Any:
    """Raises Unavailable `torch.unavailable`."""
    try:
        import torch
    except ImportError as error:
        raise Unavailable(
            "torch.unavailable",
            f"Networks need PyTorch, which cannot be imported here: {error}.",
            INSTALL_TORCH,
        ) from error
    return torch


def read_checkpoint(path: Path, *, part: str | None = None) -> Tensors:
    """The tensors of a checkpoint by name, on the CPU, read from disk as they are used.

    `part` chooses one of several networks in one file. Wrappers ({"state_dict": ...}) and a "module." before
    every name are taken off. Raises InvalidInput `weights.unsafe`, `weights.unreadable`.
    """
    torch = import_torch()
    loaded = _safetensors(path) if path.suffix == ".safetensors" else _torch_file(path, torch)
    return unwrap(loaded, path.name, torch, part)


def unwrap(loaded: Any, name: str, torch: Any, part: str | None = None) -> Tensors:
    """Returns the one state dict that is meant in what a file held."""
    if part is not None:
        if not isinstance(loaded, Mapping) or part not in loaded:
            found = ", ".join(sorted(map(str, loaded))[:8]) if isinstance(loaded, Mapping) else "no parts"
            raise InvalidInput("weights.mismatch", f"{name} has no part {part}; it has {found}.")
        loaded = loaded[part]
    for wrapper in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not loaded:
        raise InvalidInput(
            "weights.unreadable",
            f"{name} holds no state dict, but {type(loaded).__name__}.",
            "Fetch the file again from where `models list` says.",
        )
    strange = [str(key) for key, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise InvalidInput(
            "weights.unreadable",
            f"{name} is no state dict: {', '.join(strange[:6])} are no tensors.",
            "Fetch the file again from where `models list` says.",
        )
    names = [str(key) for key in loaded]
    cut = len(PREFIX) if all(key.startswith(PREFIX) for key in names) else 0
    return {key[cut:]: value for key, value in zip(names, loaded.values(), strict=True)}


def _safetensors(path: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise Unavailable(
            "torch.unavailable",
            f"{path.name} needs the package safetensors, which cannot be imported here: {error}.",
            INSTALL_TORCH,
        ) from error
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise unreadable(path.name, first_line(error)) from error


def _torch_file(path: Path, torch: Any) -> Any:
    require_harmless(path)
    try:
        # Files of the older layout cannot be mapped, and are small.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError as error:
        raise InvalidInput(
            "weights.unsafe",
            f"{path.name} holds more than tensors, and loading it could run a program: {first_line(error)}.",
            "Fetch it from the official page; a state dict of tensors alone is loaded.",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise unreadable(path.name, first_line(error)) from error


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"
