"""Opens media files of users, with errors for missing and unreadable ones; all that decodes such a file calls
it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.error import FFmpegError
from av.stream import Disposition

from avatar.encode.sound import Samples, resample
from avatar.errors import AvatarError, InvalidInput
from avatar.media_files import decodable, open_media

Frame = TypeVar("Frame", bound=av.frame.Frame)


def require_file(path: Path) -> None:
    """Raises InvalidInput `media.missing`."""
    if not path.is_file():
        raise InvalidInput("media.missing", f"There is no file {path.name}.", "Check the path.")


@contextmanager
def open_readable(path: Path, unreadable: AvatarError) -> Iterator[av.container.InputContainer]:
    """Opens the container of a file; raises `unreadable` for what is none."""
    with ExitStack() as stack:
        try:
            container = stack.enter_context(open_media(path))
        except (FFmpegError, OSError, ValueError) as error:
            raise unreadable from error
        yield container


@contextmanager
def open_named_media(path: Path, kind: str) -> Iterator[av.container.InputContainer]:
    """Opens the container of a file. `kind`: "video", …; see `unreadable_media`.

    Raises InvalidInput `media.missing` and `media.unreadable`.
    """
    require_file(path)
    with open_readable(path, unreadable_media(path, kind)) as container:
        yield container


def unreadable_media(path: Path, kind: str) -> InvalidInput:
    """Returns the error for a file that is no `kind`, or of which nothing can be decoded."""
    return InvalidInput(
        "media.unreadable",
        f"{path.name} is not a {kind} that can be read.",
        "Check that the file is whole, or save it in another format.",
    )


def until_damage(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yields what can be decoded; a file that breaks off ends where it breaks."""
    try:
        yield from frames
    except FFmpegError:
        return


def film_of(container: av.container.InputContainer) -> av.VideoStream | None:
    """Returns the first stream of pictures. The picture on the sleeve of a sound file is none."""
    films = (one for one in container.streams.video if not one.disposition & Disposition.attached_pic)
    return next(films, None)


@dataclass(frozen=True, slots=True)
class NamedSound:
    """The first sound of a file, which begins `late_s` after the file does."""

    name: str
    rate_hz: int
    late_s: float
    frames: Iterator[av.AudioFrame]

    def blocks(self, rate_hz: int) -> Iterator[Samples]:
        """Yields it as mono float blocks. A sample that is no number would be the loudest there is."""
        for block in resample(self.frames, rate_hz, self.name):
            yield np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)


@contextmanager
def open_named_sound(path: Path, latest_s: float) -> Iterator[NamedSound]:
    """Opens the first sound stream that can be decoded. One that begins after `latest_s` begins there.

    Raises InvalidInput `media.missing`, `media.unreadable` and `media.no_sound`.
    """
    kind = "sound or video"
    with open_named_media(path, kind) as container:
        stream = next((one for one in container.streams.audio if decodable(one)), None)
        if stream is None:
            raise InvalidInput("media.no_sound", f"{path.name} has no sound.", "Name a sound or a video.")
        frames = until_damage(container.decode(stream))
        first = next(frames, None)
        if first is None:
            raise unreadable_media(path, kind)
        begins_s = float(container.start_time or 0) / av.time_base
        late_s = min(max((first.time or 0.0) - begins_s, 0.0), latest_s)
        yield NamedSound(path.name, first.sample_rate, late_s, chain((first,), frames))
