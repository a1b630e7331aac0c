"""Reads a video as upright pictures at a steady rate, looped or held; for backgrounds and overlays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Colorspace

from avatar.compose.colour import Pixels
from avatar.errors import InvalidInput
from avatar.named_media import open_readable

_UNSPECIFIED = 2
"""AVCOL_SPC_UNSPECIFIED (H.273): the file does not say its colour matrix."""
_HD_HEIGHT = 720
"""From here on players take BT.709 for granted, below it BT.601."""


def footage_size(path: Path, shown: str) -> tuple[int, int]:
    """(width, height) of the upright pictures of a video. Raises as `footage` does."""
    for _, picture in _decoded(path, shown):
        return picture.shape[1], picture.shape[0]
    raise _no_frames(shown)


def footage(
    path: Path, fps: float, *, loop: bool, shown: str, from_ms: int = 0, until_ms: int | None = None
) -> Iterator[Pixels]:
    """The picture on show at each frame time, uint8 BGR (h, w, 3), without end.

    After its last picture the video begins again (`loop`) or the last picture stays; `from_ms` and `until_ms`
    cut it first, and one that is shorter than `from_ms` shows its last picture. Frame times come from
    the file, so a variable frame rate plays at its true speed; a file that breaks off ends where it breaks.
    Raises `InvalidInput` (`video.unreadable`, `video.no_frames`).
    """
    tick = 0
    start = 0.0
    while True:
        current: Pixels | None = None
        end = 0.0
        for seconds, picture in _cut(_decoded(path, shown), from_ms / 1000, until_ms):
            while current is not None and tick / fps < start + seconds - 1e-6:
                yield current
                tick += 1
            current, step = picture, seconds - end
            end = seconds
        if current is None:
            raise _no_frames(shown)
        start += end + (step if step > 0 else 1 / fps)
        while not loop or tick / fps < start - 1e-6:
            yield current
            tick += 1


def _cut(
    pictures: Iterator[tuple[float, Pixels]], from_s: float, until_ms: int | None
) -> Iterator[tuple[float, Pixels]]:
    before: Pixels | None = None
    for seconds, picture in pictures:
        if seconds < from_s - 1e-6:
            before = picture
            continue
        if until_ms is not None and seconds >= until_ms / 1000 - 1e-6:
            break
        if before is not None and seconds > from_s + 1e-6:
            yield 0.0, before
        before = None
        yield seconds - from_s, picture
    if before is not None:
        yield 0.0, before


def _decoded(path: Path, shown: str) -> Iterator[tuple[float, Pixels]]:
    """Seconds from the first picture, and the picture."""
    unreadable = InvalidInput(
        "video.unreadable", f"{shown} is not a video that can be read.", "MP4, MOV, WebM and MKV work."
    )
    with open_readable(path, unreadable) as container:
        if not container.streams.video:
            raise _no_frames(shown)
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        first: float | None = None
        decoded = 0
        try:
            for frame in container.decode(stream):
                first = frame.time or 0.0 if first is None else first
                yield (frame.time or 0.0) - first, _upright(frame)
                decoded += 1
        except av.error.FFmpegError as error:
            if decoded == 0:
                raise _no_frames(shown) from error


def colour_matrix(frame: av.VideoFrame) -> Colorspace | None:
    """Returns what a file that does not say its matrix is taken for; None leaves it to what it says."""
    unsaid = frame.colorspace == _UNSPECIFIED
    return Colorspace.ITU709 if unsaid and frame.height >= _HD_HEIGHT else None


def _upright(frame: av.VideoFrame) -> Pixels:
    converted = frame.reformat(format="bgr24", src_colorspace=colour_matrix(frame))
    picture = np.asarray(converted.to_ndarray(), dtype=np.uint8)
    return np.ascontiguousarray(np.rot90(picture, (frame.rotation // 90) % 4))


def _no_frames(shown: str) -> InvalidInput:
    return InvalidInput("video.no_frames", f"{shown} holds no picture.", "Use another video.")
