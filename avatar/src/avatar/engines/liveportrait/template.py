"""Motion templates: what a driving face did, kept as plain numbers (`.npz` or `.json`, never a pickle)."""

from __future__ import annotations

import json
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avatar.encode.atomic import atomic_file
from avatar.engines.liveportrait.motion_values import Array, Motion
from avatar.engines.liveportrait.poses import DrivingFace, Openings
from avatar.engines.liveportrait.sizes import KEYPOINTS
from avatar.errors import InvalidInput, first_line

VERSION = 1
SUFFIXES = (".npz", ".json")
_PICKLES = (".pkl", ".pickle")
MAX_FRAMES = 250_000
MAX_JSON_BYTES = 64 << 20
"""A quarter of an hour at 25 frames a second. Python's own numbers take several times as much while it is
read, and whoever may upload a file has it read.
"""
_LEAST_BYTES_A_LIST = 6
"""Of JSON; a template's lists hold two numbers or more, and an empty one takes Python 56 bytes."""
_HEAD_BYTES, _ZIP = 64, b"PK\3\4"
_POINTS = (KEYPOINTS, 3)
_SHAPES: dict[str, tuple[int, ...]] = {
    "kp": _POINTS, "exp": _POINTS, "rotation": (3, 3), "t": (3,), "scale": (), "eyes": (2,), "lips": (),
}  # fmt: skip
_FACE = np.dtype([(name, np.float32, shape) for name, shape in _SHAPES.items()])
MAX_BYTES = 2 * MAX_FRAMES * _FACE.itemsize + (1 << 20)
"""Of all arrays: in float64, with their headers."""
_NUMBERS = (np.float32, np.float64)
_ROWS_AT_ONCE = 1000
_DAMAGE = (
    OSError, ValueError, KeyError, TypeError, EOFError, ArithmeticError, MemoryError, SyntaxError,
    RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError,
)  # fmt: skip
"""What zipfile, its decompressors, numpy and json raise of files that are damaged, encrypted or others."""
_HINT = "Make it again: avatar reenact --driving VIDEO --save-template FILE.npz."


@dataclass(frozen=True, slots=True)
class MotionTemplate:
    """Arrays with one row per frame: kp, exp (n, 21, 3), rotation (n, 3, 3), t (n, 3), scale, lips (n,),
    eyes (n, 2). float32.
    """

    fps: float
    rows: dict[str, Array]

    def __len__(self) -> int:
        return len(self.rows["scale"])

    def face(self, index: int) -> DrivingFace:
        """Returns the motion of the face in one frame."""
        row = {name: values[index] for name, values in self.rows.items()}
        motion = Motion(row["kp"], row["exp"], row["rotation"], row["t"], float(row["scale"]))
        return DrivingFace(motion, Openings(row["eyes"], float(row["lips"])))


def template_of(fps: float, faces: Iterable[DrivingFace]) -> MotionTemplate:
    """Of faces as they come: only their numbers are kept. Raises ValueError for a face without openings."""
    table = np.fromiter(map(_numbers, faces), _FACE)
    return MotionTemplate(fps, {name: table[name] for name in _SHAPES})


def _numbers(face: DrivingFace) -> tuple[Any, ...]:
    """In the order of `_SHAPES`."""
    if face.openings is None:
        raise ValueError("a template needs the openings of eyes and lips")
    motion, opened = face.motion, face.openings
    return motion.kp, motion.exp, motion.rotation, motion.t, motion.scale, opened.eyes, opened.lips


def save_template(template: MotionTemplate, path: Path) -> None:
    """Writes `.json` or `.npz`, by the name; readers see all of it or nothing."""
    with atomic_file(path) as part:
        if path.suffix.lower() == ".json":
            _write_json(template, part)
            return
        with part.open("wb") as file:
            np.savez_compressed(file, version=VERSION, fps=template.fps, **template.rows)


def _write_json(template: MotionTemplate, path: Path) -> None:
    """Some rows at a time: numbers as Python's own take eight times as much, and as text five times."""
    with path.open("w") as file:
        file.write(f'{{"version": {VERSION}, "fps": {json.dumps(template.fps)}')
        for name, rows in template.rows.items():
            file.write(f', "{name}": [')
            for first in range(0, len(rows), _ROWS_AT_ONCE):
                part = json.dumps(rows[first : first + _ROWS_AT_ONCE].tolist())
                file.write((", " if first else "") + part[1:-1])
            file.write("]")
        file.write("}")


def is_template(path: Path) -> bool:
    """By its name."""
    return path.suffix.lower() in (*SUFFIXES, *_PICKLES)


def holds_template(path: Path) -> bool:
    """By its name, or by its content where it is named by its hash: a zip archive (`.npz`), a JSON table, or
    a pickle, which `load_template` refuses.
    """
    return bool(_ending(path))


def load_template(path: Path, shown: str | None = None) -> MotionTemplate:
    """`shown`: what people called the file. Raises InvalidInput `template.pickle`, `template.unreadable`,
    `template.invalid`.
    """
    shown = shown or path.name
    ending = _ending(path)
    if ending in _PICKLES:
        raise InvalidInput(
            "template.pickle",
            f"{shown} is a pickle, which can run any program when it is opened.",
            _HINT,
        )
    try:
        held = _archive(path) if ending == ".npz" else _table(path)
        fps, version = float(held.pop("fps")), int(held.pop("version"))
        rows = {name: np.asarray(held.pop(name), np.float32) for name in _SHAPES}
    except _DAMAGE as error:
        raise InvalidInput(
            "template.unreadable", f"{shown} is no motion template: {first_line(error)}.", _HINT
        ) from error
    fault = _fault(version, fps, rows, list(held))
    if fault:
        raise InvalidInput("template.invalid", f"The motion template {shown} {fault}.", _HINT)
    return MotionTemplate(fps, rows)


def _ending(path: Path) -> str:
    """Of its name, or the one that its content would have where the name says nothing; empty for others."""
    if is_template(path):
        return path.suffix.lower()
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return _PICKLES[0]  # of protocol 2 or later: older ones begin like any text
    return ".npz" if head.startswith(_ZIP) else ".json" if head.lstrip().startswith(b"{") else ""


def _table(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_JSON_BYTES:
        raise ValueError("as JSON it is larger than 64 MiB; NPZ takes a sixth")
    text = path.read_bytes()
    if text.count(b"{") > 1 or _LEAST_BYTES_A_LIST * text.count(b"[") > len(text):
        raise ValueError("it holds more than one table, or lists of next to nothing")
    held = json.loads(text)
    if not isinstance(held, dict):
        raise ValueError("it holds no table")
    return held


def _archive(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_BYTES >> 20} MiB")
    with np.load(path, allow_pickle=False) as arrays:
        held = dict(arrays)
    for name in _SHAPES:  # others would grow where they are brought to float32
        if name in held and held[name].dtype not in _NUMBERS:
            raise ValueError(f"{name} is of {held[name].dtype}, not of float32 or float64")
    return held


def _fault(version: int, fps: float, rows: dict[str, Array], unknown: list[str]) -> str:
    """Returns the problem of a template, or an empty text."""
    frames = len(rows["scale"]) if rows["scale"].ndim else 0
    if version != VERSION:
        return f"is of version {version}, and only {VERSION} is known"
    if unknown:
        return f"holds what is not known: {', '.join(sorted(unknown)[:6])}"
    if not 1 <= fps <= 120:
        return f"plays at {fps:g} frames per second"
    if not 0 < frames <= MAX_FRAMES:
        return f"has {frames} frames"
    for name, shape in _SHAPES.items():
        if rows[name].shape != (frames, *shape):
            return f"has {name} of shape {rows[name].shape} instead of {(frames, *shape)}"
        if not np.isfinite(rows[name]).all():
            return f"has values in {name} that are no numbers"
    if not (rows["scale"] > 1e-3).all():
        return "has a scale that is not above zero"
    turns = rows["rotation"]
    if not np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-2):
        return "has rotations that are none"
    return ""
