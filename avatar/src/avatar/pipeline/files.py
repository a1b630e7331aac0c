"""Describes finished files by role, hash and size, for the result line."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from avatar.spec import OutputFile

Role = Literal[
    "video", "segment", "audio", "words", "vtt", "srt", "poster", "provenance", "portrait", "still"
]

MEDIA_TYPES: dict[Role, str] = {
    "video": "video/mp4",
    "segment": "video/mp4",
    "audio": "audio/wav",
    "words": "application/json",
    "vtt": "text/vtt",
    "srt": "application/x-subrip",
    "poster": "image/png",
    "provenance": "application/json",
    "portrait": "application/json",
    "still": "image/png",
}


def sha256_of(path: Path) -> str:
    with path.open("rb") as handle:
        return "sha256:" + hashlib.file_digest(handle, "sha256").hexdigest()


def describe(role: Role, path: Path) -> OutputFile:
    return OutputFile(
        role=role,
        path=str(path),
        sha256=sha256_of(path),
        bytes=path.stat().st_size,
        media_type=MEDIA_TYPES[role],
    )
