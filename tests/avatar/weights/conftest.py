"""Torch files written without torch, in the layout that `torch.save` has: a pickle in a zip."""

from __future__ import annotations

import json
import math
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from avatar.engines.weights.store import ModelStore

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


def safetensors_file(path: Path, shapes: Shapes) -> Path:
    """A whole file of float16 zeros."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))
    return path


def onnx_file(path: Path) -> Path:
    """The outermost fields of a ModelProto: ir_version 8, producer, an empty graph."""
    path.write_bytes(b"\x08\x08" + b"\x12\x04test" + b"\x3a\x02\x12\x00")
    return path


def piper_voice(path: Path, sample_rate_hz: int = 22050) -> Path:
    card = {
        "audio": {"sample_rate": sample_rate_hz},
        "phoneme_id_map": {"_": [0]},
        "language": {"code": "en_US"},
    }
    Path(f"{onnx_file(path)}.json").write_text(json.dumps(card))
    return path


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def weights_folder(tmp_path: Path) -> Path:
    """The folder into which an operator has fetched files."""
    folder = tmp_path / "fetched"
    folder.mkdir()
    return folder
