"""Checks what the worker needs on this machine; `avatar doctor` prints it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avatar.engines.card_memory import card_is_possible
from avatar.engines.weights.checkpoint import INSTALL_TORCH
from avatar.engines.weights.store import ModelStore, models_folder
from avatar.engines.weights.voice_card import card_of
from avatar.errors import AvatarError
from avatar.programs import espeak_version, flite_is_installed

LOW_DISK_MIB = 2048


@dataclass(frozen=True, slots=True)
class Check:
    """`missing` stops the worker; `limited` only switches something off."""

    name: str
    state: Literal["ok", "limited", "missing"]
    detail: str
    hint: str = ""


def examine(cache: Path) -> list[Check]:
    """Every check, in the order of the pipeline. Nothing on the machine is changed."""
    return [
        Check("python", "ok", f"{platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores"),
        *(_package(name, needed) for name, needed in _PACKAGES),
        *_torch(),
        _flite(),
        _espeak(),
        *_piper(),
        _encoders(),
        _fonts(),
        _writable(cache),
        _disk(Path.cwd()),
    ]


_PACKAGES = (
    ("numpy", True), ("opencv-python-headless", True), ("av", True), ("skia-python", True), ("pillow", True),
    ("pi-heif", False), ("pocketsphinx", False), ("httpx", False), ("mediapipe", False),
)  # fmt: skip

_WITHOUT = {
    "pi-heif": "HEIC pictures cannot be read",
    "pocketsphinx": "supplied sound is not aligned to its transcript",
    "httpx": "voices behind HTTP cannot be asked",
    "mediapipe": "faces cannot be measured; drawn characters and prepared portraits work",
}


def _package(name: str, needed: bool) -> Check:
    try:
        return Check(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        extra = "face" if name == "mediapipe" else "cpu"
        return Check(
            name,
            "missing" if needed else "limited",
            _WITHOUT.get(name, "not installed"),
            f"Install the worker's extra `{extra}`, in the folder avatar/:"
            f" uv sync --locked --inexact --extra {extra}.",
        )


def _torch() -> list[Check]:
    """Only where a card's driver is: elsewhere it would be gigabytes for nothing."""
    if not card_is_possible():
        return []
    try:
        return [Check("torch", "ok", importlib.metadata.version("torch"))]
    except importlib.metadata.PackageNotFoundError:
        return [Check("torch", "limited", "not installed: faces are drawn without the card", INSTALL_TORCH)]


def _flite() -> Check:
    if flite_is_installed():
        return Check("flite", "ok", "voices slt, rms, awb")
    return Check(
        "flite", "limited", "not found: espeak-ng speaks English", "Install it: apt-get install libflite1."
    )


def _espeak() -> Check:
    version = espeak_version()
    if version is None:
        return Check("espeak-ng", "missing", "not found", "Install it: apt-get install espeak-ng.")
    return Check("espeak-ng", "ok", version)


def _piper() -> list[Check]:
    """Only where a voice file is there, or Piper is named: who uses none need not hear of it."""
    try:
        # Only here: it brings numpy along, and this command is for machines on which that may be missing.
        from avatar.speech.piper import PROGRAM_VARIABLE, ROLE, piper_program

        found = [one for one in ModelStore(models_folder().absolute()).survey() if one.file.role == ROLE]
    except ImportError:
        return []
    except AvatarError as error:
        return [Check("piper", "limited", error.message, error.hint)]
    voices = [one for one in found if one.state != "missing"]
    if not voices and not os.environ.get(PROGRAM_VARIABLE):
        return []
    named = ", ".join(one.path.stem for one in voices) or "no voice file"
    program = piper_program()
    if program is None:
        return [
            Check(
                "piper",
                "limited",
                f"the program is not found; it has {named}",
                f"Install piper so that it is found in PATH, or name it in {PROGRAM_VARIABLE}.",
            )
        ]
    if not voices:
        hint = "Add one: `models add --role piper.voice VOICE.onnx`."
        return [Check("piper", "limited", f"{program}, but no voice file", hint)]
    bad = [one for one in voices if one.state in ("changed", "wrong") or not card_of(one.path).is_file()]
    licence = f"{program} speaks {named} (licence: {voices[0].file.licence})"
    if bad:
        hint = "Look at them: `models verify piper.voice`."
        return [
            Check("piper", "limited", f"{licence}; unusable: {', '.join(one.path.stem for one in bad)}", hint)
        ]
    return [Check("piper", "ok", licence)]


def _encoders() -> Check:
    try:
        codec = importlib.import_module("av.codec")
        for name in ("libx264", "aac"):
            codec.Codec(name, "w")
    except (ImportError, ValueError) as error:
        return Check("encoders", "missing", str(error), "Install PyAV from its binary wheels.")
    return Check("encoders", "ok", "libx264, aac")


def _fonts() -> Check:
    try:
        fonts = importlib.import_module("avatar.compose.fonts").Fonts.of_this_machine()
    except ImportError as error:
        hint = "Install the worker's extra `cpu`, and on Debian libgl1 libegl1 libfontconfig1."
        return Check("fonts", "missing", str(error), hint)
    families = sorted({typeface.getFamilyName() for typeface in fonts.typefaces})
    if not families:
        return Check(
            "fonts", "limited", "none: no captions in the picture", "apt-get install fonts-dejavu-core"
        )
    return Check("fonts", "ok", f"{len(families)} families, text in {fonts.families[0]}")


def _writable(cache: Path) -> Check:
    folder = cache
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Check("cache", "ok", str(cache))
    except OSError as error:
        return Check("cache", "limited", f"{cache}: {error.strerror}", "Name another folder with --cache.")


def _disk(folder: Path) -> Check:
    free_mib = shutil.disk_usage(folder).free // 2**20
    if free_mib < LOW_DISK_MIB:
        return Check(
            "disk", "limited", f"{free_mib} MiB free here", "Long videos need some GiB while they are made."
        )
    return Check("disk", "ok", f"{free_mib // 1024} GiB free here")
