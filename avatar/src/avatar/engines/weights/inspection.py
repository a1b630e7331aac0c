"""Knows a file of weights by its inside, without torch and without running anything in it."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any, BinaryIO

from avatar.engines.weights.checkpoint import WRAPPERS
from avatar.engines.weights.manifest import WeightFile
from avatar.engines.weights.pickles import flat_forms, read_torch_forms, unreadable
from avatar.errors import InvalidInput

_MAX_HEADER_BYTES = 100 << 20
_ITEM_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
_ZIP = b"PK\x03\x04"
_ONNX_IR_VERSION, _ONNX_GRAPH = 1, 7
"""Fields of ONNX's ModelProto."""


def inspect(path: Path, entry: WeightFile) -> int:
    """Returns how many tensors the file holds (0: not counted), when it is what `entry` describes.

    Raises InvalidInput `weights.unsafe`, `weights.unreadable` or `weights.wrong_file`.
    """
    if entry.format == "onnx":
        require_onnx(path)
        return 0
    if entry.format == "piper":
        require_onnx(path)
        return 0
    shapes = tensor_shapes(path, safetensors=entry.format == "safetensors")
    wrong = [
        f"{name} is {_sides(shapes[name])} instead of {_sides(shape)}" if name in shapes else f"no {name}"
        for name, shape in entry.tensors.items()
        if shapes.get(name) != shape
    ]
    if wrong:
        raise InvalidInput(
            "weights.wrong_file",
            f"{path.name} holds {len(shapes)} tensors, but is not {entry.role}: {'; '.join(wrong)}.",
            f"Get it from {entry.source}.",
        )
    return len(shapes)


def tensor_shapes(path: Path, *, safetensors: bool) -> dict[str, tuple[int, ...]]:
    """Name to shape of all tensors, wrappers and "module." taken off."""
    if safetensors:
        return _safetensors_shapes(path)
    found = {}
    for name, form in flat_forms(read_torch_forms(path)):
        for wrapper in WRAPPERS:
            name = name.removeprefix(f"{wrapper}.")
        found[".".join(part for part in name.split(".") if part != "module")] = form.shape
    return found


def _safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The header of a safetensors file, checked against its size: <u64 length> <JSON> <numbers>."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _MAX_HEADER_BYTES:
                raise ValueError("its header is too long")
            header: dict[str, Any] = json.loads(file.read(length))
        room = path.stat().st_size - 8 - length
        shapes = {}
        for name, entry_form in header.items():
            if name == "__metadata__":
                continue
            shape = tuple(int(side) for side in entry_form["shape"])
            start, end = entry_form["data_offsets"]
            if (
                end - start != math.prod(shape) * _ITEM_BYTES[entry_form["dtype"]]
                or not 0 <= start <= end <= room
            ):
                raise ValueError(f"{name} lies outside of it")
            shapes[name] = shape
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise unreadable(path.name, f"it is no whole safetensors file ({error})", "used") from error
    return shapes


def require_onnx(path: Path) -> None:
    """Walks the outermost fields of the file, which must end where the file ends."""
    seen = set()
    try:
        with path.open("rb") as file:
            if file.read(len(_ZIP)) == _ZIP:
                raise InvalidInput(
                    "weights.unreadable",
                    f"{path.name} is a zip, and not the file in it.",
                    "Unpack it, and add the file that is meant.",
                )
            file.seek(0)
            while (tag := _varint(file)) is not None:
                seen.add(tag >> 3)
                if tag & 7 == 0:
                    _varint(file)
                elif tag & 7 == 2:
                    file.seek(_varint(file) or 0, 1)
                else:
                    raise ValueError("it has a field that ONNX has not")
            whole = file.tell() == path.stat().st_size
    except (OSError, ValueError) as error:
        raise unreadable(path.name, f"it is no ONNX file ({error})", "used") from error
    if not whole or not {_ONNX_IR_VERSION, _ONNX_GRAPH} <= seen:
        raise unreadable(path.name, "it is no whole ONNX file", "used")


def _varint(file: BinaryIO) -> int | None:
    """A protobuf varint; None at the end of the file."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            if shift:
                raise ValueError("it ends within a number")
            return None
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    raise ValueError("a number is too long")


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
