"""The files that a verb makes: their names, that nothing given is lost by them, and what is told of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from avatar.errors import InvalidInput
from avatar.spec import Output, OutputFile, OutputRole
from avatar.spec.base import sha256_of

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
    "frame": "image/jpeg",
    "storyboard": "image/webp",
    "storyboard_index": "application/json",
    "peaks": "application/json",
    "proxy": "video/mp4",
    "spec": "application/yaml",
    "schema": "application/schema+json",
    "page": "text/html",
    "verdict": "application/json",
}


@dataclass(frozen=True, slots=True)
class Companions:
    """The names of the files beside `<name>.mp4`."""

    video: str
    vtt: str
    srt: str
    poster: str
    provenance: str

    @classmethod
    def of(cls, target: Path) -> Companions:
        stem = target.stem if target.suffix else target.name
        return cls(target.name, f"{stem}.vtt", f"{stem}.srt", f"{stem}.png", f"{stem}.provenance.json")

    def files_for(self, output: Output) -> list[tuple[OutputRole, str]]:
        """The files this output has, the video first."""
        soft: list[tuple[OutputRole, str]] = (
            [("vtt", self.vtt), ("srt", self.srt)] if output.captions.soft else []
        )
        poster: list[tuple[OutputRole, str]] = [("poster", self.poster)] if output.poster else []
        return [("video", self.video), *soft, *poster, ("provenance", self.provenance)]


def require_mp4(target: Path) -> None:
    """Raises `InvalidInput` (`output.not_mp4`, `output.is_folder`) before any work is done for nothing."""
    if target.suffix.lower() != ".mp4":
        raise InvalidInput(
            "output.not_mp4", f"Videos are MP4 files, and {target.name} is named otherwise.", "Name it *.mp4."
        )
    if target.is_dir():
        raise InvalidInput("output.is_folder", f"{target} is a folder.", "Name a file in it.")


def require_outputs(target: Path, output: Output, inputs: Iterable[Path]) -> None:
    """That a video can be made there, of these files. Raises `InvalidInput` (`output.not_mp4`,
    `output.is_folder`, `output.overwrites_input`) before any work is done for nothing.
    """
    require_mp4(target)
    outputs = [target.parent / name for _, name in Companions.of(target).files_for(output)]
    require_other_files(target, outputs, inputs)


def require_other_files(target: Path, outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Before any work: none of `outputs`, which are `target` and what is written with it, is one of `inputs`,
    whichever links and folders the paths go through. Raises `InvalidInput` (`output.overwrites_input`).
    """
    places = {os.path.realpath(path) for path in outputs}
    for path in inputs:
        if path.is_file() and os.path.realpath(path) in places:
            raise InvalidInput(
                "output.overwrites_input",
                f"Making {target.name} would write over {path.name}, which it is made of.",
                "Give the result another name or folder.",
            )


def describe(role: OutputRole, path: Path) -> OutputFile:
    return OutputFile(
        role=role,
        path=str(path),
        sha256=sha256_of(path),
        bytes=path.stat().st_size,
        media_type=MEDIA_TYPES[role],
    )
