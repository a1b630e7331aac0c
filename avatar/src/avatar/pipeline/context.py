"""The context of every verb of the pipeline: folders, the listener for progress, the check for a stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.engines.neural.holder import ModelHolder
from avatar.errors import InvalidInput
from avatar.spec import FrameProgress, MediaRef, Notice, PreviewFrame, StageStarted

if TYPE_CHECKING:
    # It brings numpy, whose threads would be there before a render can say how many it wants.
    from avatar.engines.resume_cache import ResumeCache

ProgressEvent = StageStarted | FrameProgress | PreviewFrame | Notice
Listener = Callable[[ProgressEvent], None]


def _ignore(line: ProgressEvent) -> None:
    """Ignores an event."""


@dataclass(frozen=True, slots=True)
class Context:
    """`blobs` holds files by hash, `cache` holds what may be made again (prepared portraits)."""

    cache: Path
    blobs: Path | None = None
    confined: bool = False
    """Whether a spec may name files of the working folder and of `blobs` alone: on a farm it is another's."""
    tell: Listener = field(default=_ignore)
    check: Callable[[], None] = field(default=lambda: None)
    """Called between frames; raises `Cancelled` once the caller has asked us to stop."""
    holder: ModelHolder = field(default_factory=ModelHolder)
    """Networks that scenes of this process hand on to each other."""
    resume_cache: list[ResumeCache] = field(default_factory=list)
    """What a second run would use if this one were stopped."""
    work: str = ""
    """The caller's name of the work, by which its checkpoints are discarded; see
    `avatar.spec.unfinished`.
    """

    def forget(self) -> None:
        """The result is there: nothing is needed any more of what was kept for a second run."""
        for one in self.resume_cache:
            one.forget()
        self.resume_cache.clear()

    def resolve(self, ref: MediaRef) -> Path:
        """The file behind `ref`. Raises `InvalidInput` (`media.missing`, `media.empty`,
        `media.outside_inputs`) with the name people know.
        """
        path = self._locate(ref)
        shown = ref.name or path.name
        if self.confined and not self._is_input(path):
            raise InvalidInput(
                "media.outside_inputs",
                f"The spec names {shown}, which is none of the inputs of this work.",
                "Upload the file and name it by its hash: workers of a farm read nothing else.",
            )
        if not path.is_file():
            raise InvalidInput(
                "media.missing",
                f"The file {shown} does not exist.",
                "Check the path, or upload the file again.",
            )
        if path.stat().st_size == 0:
            raise InvalidInput("media.empty", f"The file {shown} is empty.", "Upload the file again.")
        return path

    def _is_input(self, path: Path) -> bool:
        """Links are followed: inputs are links into the blobs."""
        folders = [Path.cwd(), *([] if self.blobs is None else [self.blobs])]
        real = path.resolve()
        return any(real.is_relative_to(folder.resolve()) for folder in folders)

    def _locate(self, ref: MediaRef) -> Path:
        if ref.sha256 is not None and self.blobs is not None:
            digest = ref.sha256.removeprefix("sha256:")
            blob = self.blobs / digest[:2] / digest
            if blob.is_file() or ref.path is None:
                return blob
        if ref.path is None:
            raise InvalidInput(
                "media.no_blobs",
                f"{ref.name or ref.sha256} is named by its hash, but no blob folder was given.",
                "Pass --blobs DIR.",
            )
        return Path(ref.path)
