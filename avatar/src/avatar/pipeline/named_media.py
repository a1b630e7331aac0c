"""Opens a media file that a user named, with errors for a missing or unreadable one; posters, waveforms,
proxies, probes and looks call it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import av
from av.error import FFmpegError

from avatar.errors import InvalidInput
from avatar.media_files import open_media


def require_file(path: Path) -> None:
    """Raises InvalidInput `media.missing`."""
    if not path.is_file():
        raise InvalidInput("media.missing", f"There is no file {path.name}.", "Check the path.")


@contextmanager
def open_named_media(path: Path, kind: str) -> Iterator[av.container.InputContainer]:
    """Opens the container of a file. `kind`: "video", …; see `unreadable_media`.

    Raises InvalidInput `media.missing` and `media.unreadable`.
    """
    require_file(path)
    with ExitStack() as stack:
        try:
            container = stack.enter_context(open_media(path))
        except (FFmpegError, OSError, ValueError) as error:
            raise unreadable_media(path, kind) from error
        yield container


def unreadable_media(path: Path, kind: str) -> InvalidInput:
    """Returns the error for a file that is no `kind`, or of which nothing can be decoded."""
    return InvalidInput(
        "media.unreadable",
        f"{path.name} is not a {kind} that can be read.",
        "Check that the file is whole, or save it in another format.",
    )
