"""Opens a sound or video file so that it can open nothing but itself; all that decodes one calls it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av


@contextmanager
def open_media(path: Path, *, probe: bool = True) -> Iterator[av.container.InputContainer]:
    """The container of a file, read through our own file object with no protocol allowed.

    FFmpeg looks at the content and not at the name: a playlist (HLS, DASH, ffconcat) that calls itself
    `holiday.mp4` would otherwise pull other files of this machine, or addresses, into the video.
    `probe=False` decodes nothing while opening, 25 ms less at 1080p. What only the pictures tell is unknown
    then: pixel format, order of B-frames, in some formats the start time.
    Raises OSError, av.error.FFmpegError and ValueError for what is no such file.
    """
    options = {"protocol_whitelist": "none"} | ({} if probe else {"skip_frame": "all"})
    with (
        path.open("rb") as file,
        av.open(file, "r", options=options, metadata_errors="replace") as container,
    ):
        yield container


def decodable(stream: av.stream.Stream) -> bool:
    """Returns whether a decoder exists: without one a stream has none of the properties of its kind."""
    context: object = stream.codec_context
    return context is not None
