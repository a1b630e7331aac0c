"""Torch files written without torch, in the layout that `torch.save` has: a pickle in a zip."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

Shapes = Mapping[str, tuple[int, ...]]


def _text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def _tensor(key: str, shape: tuple[int, ...]) -> bytes:
    storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(key) + _text("cpu") + b"K\x01tQ"
    built = storage + b"K\x00" + _numbers(shape) + _numbers((1,) * len(shape)) + b"\x89"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + built + b"ccollections\nOrderedDict\n)RtR"


def _dictionary(shapes: Shapes) -> bytes:
    return b"}" + b"".join(_text(key) + _tensor(key, shape) + b"s" for key, shape in shapes.items())


def torch_file(path: Path, shapes: Shapes, *, wrapped: str | None = None, extra: bytes = b"") -> Path:
    """A torch file with tensors of these shapes (and no numbers); `extra` is put before the end, popped."""
    body = _dictionary(shapes)
    if wrapped is not None:
        body = b"}" + _text(wrapped) + body + b"s"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + body + extra + b".")
        archive.writestr("archive/version", "3\n")
    return path


class Runs:
    """Pickled as the call of a function: what an attacker's file does."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("echo run",)


def running_file(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"state_dict": Runs()}, protocol=2))
    return path
