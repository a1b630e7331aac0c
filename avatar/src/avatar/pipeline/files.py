"""Describes finished files by role, hash and size, for the result line."""

from __future__ import annotations

import hashlib
from pathlib import Path

from avatar.errors import InvalidInput
from avatar.spec import OutputFile, OutputRole

MEDIA_TYPES: dict[OutputRole, str] = {
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
    "speech": "application/json",
    "shown": "image/jpeg",
}


def require_mp4(target: Path) -> None:
    """Raises `InvalidInput` (`output.not_mp4`, `output.is_folder`) before any work is done for nothing."""
    if target.suffix.lower() != ".mp4":
        raise InvalidInput(
            "output.not_mp4", f"Videos are MP4 files, and {target.name} is named otherwise.", "Name it *.mp4."
        )
    if target.is_dir():
        raise InvalidInput("output.is_folder", f"{target} is a folder.", "Name a file in it.")


def sha256_of(path: Path) -> str:
    with path.open("rb") as handle:
        return "sha256:" + hashlib.file_digest(handle, "sha256").hexdigest()


def describe(role: OutputRole, path: Path) -> OutputFile:
    return OutputFile(
        role=role,
        path=str(path),
        sha256=sha256_of(path),
        bytes=path.stat().st_size,
        media_type=MEDIA_TYPES[role],
    )
