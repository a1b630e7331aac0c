"""Looks into the pickles of a torch file without running them, and without torch: what they would call, and
which tensors they hold. Adding, verifying and loading weights go through it.

A torch file is a pickle of tensors' names and shapes with their numbers beside it. A pickle may name any
function of any module, which the usual loader then calls: here only those that build tensors are let
through.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from avatar.errors import InvalidInput, first_line

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PICKLES = 5
"""Magic number, protocol, byte order, the object, the names of its storages; then raw numbers."""
_MAX_PICKLE_BYTES = 64 << 20

_STORAGES = frozenset(
    f"{kind}Storage"
    for kind in ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
)


@dataclass(frozen=True, slots=True)
class TensorForm:
    """The declaration of a tensor in a file: its shape."""

    shape: tuple[int, ...]


def _rebuild(_storage: Any, _offset: int, size: Any, *_rest: Any) -> TensorForm:
    return TensorForm(tuple(int(side) for side in size))


def _parameter(data: Any, *_rest: Any) -> Any:
    return data


class _Kind:
    """Stands for a storage class or a dtype: nothing can be done with it."""


_HARMLESS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch._utils", "_rebuild_tensor"): _rebuild,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "Size"): tuple,
    ("torch.storage", "UntypedStorage"): _Kind,
}


class _Reader(pickle.Unpickler):
    """Builds names and shapes out of a torch pickle; anything but the known builders is refused."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        super().__init__(file, encoding="utf-8")
        self._name = name

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _Kind
        try:
            return _HARMLESS[(module, name)]
        except KeyError:
            raise InvalidInput(
                "weights.unsafe",
                f"{self._name} asks for {module}.{name}: loading it as its maker meant could run a program.",
                "Fetch it from the official page; a state dict of tensors alone is accepted.",
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        return _Kind


def require_harmless(path: Path) -> None:
    """Raises InvalidInput `weights.unsafe` or `weights.unreadable`."""
    read_torch_forms(path)


def read_torch_forms(path: Path) -> Any:
    """Returns the content of a torch file, every tensor replaced by its `TensorForm`; no number is read."""
    try:
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                return _read_zip(path)
            file.seek(0)
            return _read_legacy(file, path.name)
    except (OSError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise unreadable(path.name, first_line(error)) from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, MemoryError, OverflowError) as error:
        # A pickle that is damaged fails in many ways.
        raise unreadable(path.name, first_line(error)) from error


def flat_forms(held: Any) -> Iterator[tuple[str, TensorForm]]:
    """(name, form) of all tensors, names of nested dictionaries joined by dots."""
    if isinstance(held, TensorForm):
        yield "", held
    elif isinstance(held, dict):
        for key, value in held.items():
            for rest, form in flat_forms(value):
                yield f"{key}.{rest}" if rest else str(key), form


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        pickles = [info for info in archive.infolist() if info.filename.endswith(".pkl")]
        if len(pickles) != 1 or not pickles[0].filename.endswith("data.pkl"):
            raise unreadable(path.name, "it has not the one data.pkl of a torch file")
        if pickles[0].file_size > _MAX_PICKLE_BYTES:
            raise unreadable(path.name, "its list of tensors is too large")
        return _Reader(io.BytesIO(archive.read(pickles[0])), path.name).load()


def _read_legacy(file: BinaryIO, name: str) -> Any:
    held: list[Any] = []
    for number in range(_LEGACY_PICKLES):
        held.append(_Reader(file, name).load())
        if number == 0 and held[0] != _LEGACY_MAGIC:
            raise unreadable(name, "it is no torch file")
    return held[3]


def unreadable(name: str, why: str, action: str = "read as a checkpoint") -> InvalidInput:
    return InvalidInput(
        "weights.unreadable",
        f"{name} cannot be {action}: {why}.",
        "It may have been cut short: fetch it again from where `models list` says.",
    )
