"""Opens a video to take pictures out of it: its poster here, storyboards and proxies elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Interpolation

from avatar.compose.footage import colour_matrix
from avatar.encode.atomic import write_bytes
from avatar.errors import InvalidInput
from avatar.face.landmarks import Picture
from avatar.face.pictures import MAX_PIXELS
from avatar.media_files import decodable
from avatar.named_media import film_of, open_named_media, unreadable_media, until_damage
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe
from avatar.spec import Finished, MediaFacts, StageStarted

GO_ON_S = 5.0
"""A picture this near ahead is decoded to; one that is farther is sought."""
MAX_DECODED = 600
"""Frames that one picture may cost: a film of one key frame is not decoded from its start for each."""
LONGEST_S = 24 * 3600.0
POSTER_PX = 1280
JPEG_QUALITY = 85
PLACES = (0.1, 0.35, 0.6, 0.0)
"""Parts of the film where it is looked for: films often begin and end in black."""
TELLING = 12.0
"""Standard deviation of brightness (of 255) from which a picture shows something."""


class Film:
    """The pictures of an open video, in the order of their times. Made by `open_film`."""

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        self._container = container
        self._stream = stream
        self._frames: Iterator[av.VideoFrame] = self.frames()
        self._shown: av.VideoFrame | None = None
        self.start_s = float((stream.start_time or 0) * (stream.time_base or 0))
        self.duration_s = min(max(self._duration_s(), 0.0), LONGEST_S)

    def frames(self) -> Iterator[av.VideoFrame]:
        """Return what can be decoded from here on."""
        return until_damage(self._container.decode(self._stream))

    def frame_at(self, seconds: float) -> av.VideoFrame | None:
        """Return the frame on show `seconds` after the first one, the last one of a shorter film, or None
        when there is none.
        """
        target = self.start_s + seconds
        at = None if self._shown is None else self._shown.time
        if at is None or not at <= target <= at + GO_ON_S:
            self._seek(target)
        frame_shown = self._shown
        for _ in range(MAX_DECODED):
            if (frame := next(self._frames, None)) is None:
                break
            if frame_shown is not None and (frame.time or 0.0) > target:
                # It is the next one's.
                self._frames = chain((frame,), self._frames)
                break
            frame_shown = frame
        self._shown = frame_shown
        return frame_shown

    def _seek(self, target_s: float) -> None:
        try:
            self._container.seek(round(target_s * av.time_base), backward=True)
        except FFmpegError:
            # A format without an index is read on from where it is.
            return
        self._frames, self._shown = self.frames(), None

    def _duration_s(self) -> float:
        """Returns what the headers say, else the packets: a live recording has no duration in its header."""
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        if self._container.duration:
            return float(self._container.duration) / av.time_base
        last = 0.0
        try:
            for packet in self._container.demux(self._stream):
                if packet.pts is not None and packet.time_base is not None:
                    last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            self._container.seek(0)
        except FFmpegError:
            return last - self.start_s
        return last - self.start_s


@contextmanager
def open_film(path: Path) -> Iterator[Film]:
    """Opens the film in a file. Raises InvalidInput `media.missing`, `media.unreadable`, `media.no_picture`
    and `picture.too_large`.
    """
    with open_named_media(path, "video") as container:
        stream = film_of(container)
        if stream is None:
            raise InvalidInput("media.no_picture", f"{path.name} holds no film.", "Name a video.")
        if not decodable(stream):
            raise unreadable_film(path)
        require_size(stream)
        yield Film(container, stream)


def require_size(stream: av.VideoStream) -> None:
    """Raises InvalidInput `picture.too_large`."""
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_PIXELS:
        raise InvalidInput(
            "picture.too_large",
            f"The video's frames have {width} x {height} pixels; the limit is {MAX_PIXELS // 10**6} million.",
            "Scale the video down.",
        )


def size_within(frame: av.VideoFrame, width: int, height: int) -> tuple[int, int]:
    """Return (width, height) of the upright frame scaled into that box, even numbers, never enlarged."""
    lying = bool(turns_of(frame) % 2)
    wide, high = (frame.height, frame.width) if lying else (frame.width, frame.height)
    scale = min(1.0, width / wide, height / high)
    return max(2, round(wide * scale / 2) * 2), max(2, round(high * scale / 2) * 2)


def turns_of(frame: av.VideoFrame) -> int:
    """Return how many quarter turns counterclockwise make the frame upright."""
    return round(frame.rotation / 90) % 4


def upright(frame: av.VideoFrame, width: int, height: int) -> Picture:
    """Return the frame as an upright picture of exactly that size: uint8 BGR (height, width, 3)."""
    turns = turns_of(frame)
    across, down = (height, width) if turns % 2 else (width, height)
    small = frame.reformat(
        width=across,
        height=down,
        format="bgr24",
        src_colorspace=colour_matrix(frame),
        interpolation=Interpolation.AREA,
    )
    return np.ascontiguousarray(np.rot90(np.asarray(small.to_ndarray(), np.uint8), turns))


def write_jpeg(picture: Picture, target: Path) -> None:
    """Writes a picture (h, w, 3) whole or not at all, into a folder that it makes."""
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, encoded.tobytes())


def unreadable_film(path: Path) -> InvalidInput:
    """Returns the error for a file that is no video, or of which no frame can be decoded."""
    return unreadable_media(path, "video")


def make_film_poster(path: Path, target: Path, context: Context) -> Finished:
    """Write a JPEG of at most 1280 pixels. Raises as `open_film` does."""
    context.tell(StageStarted(stage="frames"))
    with open_film(path) as film:
        best: Picture | None = None
        contrast = -1.0
        for part in PLACES:
            context.check()
            frame = film.frame_at(part * film.duration_s)
            if frame is None:
                continue
            picture = upright(frame, *size_within(frame, POSTER_PX, POSTER_PX))
            found = float(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).std())
            if found > contrast:
                best, contrast = picture, found
            if contrast >= TELLING:
                break
    if best is None:
        raise unreadable_film(path)
    write_jpeg(best, target)
    facts = MediaFacts(kind="video", width=best.shape[1], height=best.shape[0])
    return Finished(files=(describe("frame", target),), duration_ms=0, frames=1, media=facts)
