"""The operator's video as numbered pictures: what it holds, when each frame shows, and decoding in any order.

Frames are told by their presentation time, so variable frame rates,
B-frames and broken tails need no special path.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import av
import numpy as np
import numpy.typing as npt

from avatar.errors import InvalidInput
from avatar.media_files import open_media

log = logging.getLogger(__name__)
T = TypeVar("T")

_SLACK_MS = 2_000
"""B-frames: a packet may show this much earlier than the packets read before it."""


@dataclass(frozen=True, slots=True)
class FrameTable:
    """Frames of a stretch of video in the order they show.

    pts: int64 (frames,), in the stream's time base; times_ms: float64 (frames,) from the start of the video.
    keyframes: numbers of the frames at which decoding can begin, ascending.
    """

    pts: npt.NDArray[np.int64]
    times_ms: npt.NDArray[np.float64]
    keyframes: tuple[int, ...]
    complete: bool
    """False when the file ends before its own header says."""

    def __len__(self) -> int:
        return len(self.pts)

    def frame_ms(self) -> float:
        """Usual length of a frame in milliseconds."""
        return float(np.median(np.diff(self.times_ms))) if len(self) > 1 else 40.0


@dataclass(frozen=True, slots=True)
class Footage:
    """A video file that gave a picture. width, height: as people see it, turned upright."""

    path: Path
    width: int
    height: int
    turns: int
    """Quarter turns clockwise that bring a decoded frame upright."""
    high_dynamic_range: bool

    @classmethod
    def open(cls, path: Path, name: str) -> Footage:
        """Raises `video.unreadable` or `video.no_frames`; `name` is what people called the file."""
        try:
            with open_media(path, probe=False) as container:
                if not container.streams.video:
                    raise _no_frames(name)
                for packet in container.demux(container.streams.video[0]):
                    for frame in _decoded(packet):
                        turns = round(-_rotation(frame) / 90) % 4
                        width, height = frame.width, frame.height
                        if turns % 2:
                            width, height = height, width
                        hdr = container.streams.video[0].codec_context.color_trc in (16, 18)
                        return cls(path, width, height, turns, hdr)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise InvalidInput(
                "video.unreadable",
                f"{name} cannot be read as a video.",
                "Check that the file is whole; MP4, MOV, MKV and WebM are known to work.",
            ) from error
        raise _no_frames(name)

    def table(self, start_ms: float, end_ms: float | None) -> FrameTable:
        """Frames that show from `start_ms` to `end_ms` (None: the end of the file), without decoding."""
        rows: list[tuple[int, bool]] = []
        reached_end = True
        with ExitStack() as stack:
            container = stack.enter_context(open_media(self.path, probe=False))
            if container.streams.video[0].start_time is None:
                container = stack.enter_context(open_media(self.path))
            stream = container.streams.video[0]
            tick_ms = float(stream.time_base or 0) * 1000
            first = stream.start_time or 0
            if start_ms > _SLACK_MS:
                container.seek(first + int((start_ms - 100) / tick_ms), stream=stream)
            try:
                for packet in container.demux(stream):
                    if packet.pts is None or packet.is_corrupt or packet.is_discard:
                        continue
                    if end_ms is not None and (packet.pts - first) * tick_ms > end_ms + _SLACK_MS:
                        reached_end = False
                        break
                    rows.append((packet.pts, packet.is_keyframe))
            except av.error.FFmpegError as error:
                log.info("reading %s stopped early: %s", self.path.name, error)
            declared_ms = float(stream.duration or 0) * tick_ms
        rows.sort()
        pts = np.array([row[0] for row in rows], dtype=np.int64)
        times = ((pts - first) * tick_ms).astype(np.float64)
        keep = times <= (end_ms if end_ms is not None else np.inf)
        keys = tuple(int(n) for n in np.flatnonzero([row[1] for row in rows]) if keep[n])
        pts, times = pts[keep], times[keep]
        complete = not reached_end or declared_ms <= 0 or (len(times) > 0 and times[-1] > declared_ms - 500)
        return FrameTable(pts, times, keys or (0,), complete)


class FrameReader(Generic[T]):
    """Gives frames of a table in any order, forward and backward, with a bounded number in memory.

    convert: makes of a decoded frame what the caller wants; called once for each frame that is asked for.
    held: how many converted frames may be kept. Backward runs are decoded in chunks of that many, each from
    the keyframe before it.
    """

    def __init__(
        self, footage: Footage, table: FrameTable, convert: Callable[[av.VideoFrame], T], held: int
    ) -> None:
        self._footage, self._table, self._convert, self._held = footage, table, convert, max(2, held)
        self.missing = 0
        """Frames that are listed but did not decode; their neighbour was given instead."""

    def read(self, order: Sequence[int]) -> Iterator[T]:
        """One converted frame for each number in `order`."""
        last: T | None = None
        for chunk in _chunks(order, self._held):
            if chunk[-1] >= chunk[0]:
                for number, picture in self._forward(chunk):
                    last = self._or_last(number, picture, last)
                    yield last
                continue
            found = dict(self._forward(sorted(set(chunk))))
            for number in chunk:
                last = self._or_last(number, found.get(number), last)
                yield last
            found.clear()  # before the next chunk is decoded, or two of them would lie in memory

    def _or_last(self, number: int, picture: T | None, last: T | None) -> T:
        if picture is not None:
            return picture
        self.missing += 1
        if last is not None:
            return last
        for _, nearest in self._forward(range(number + 1, min(number + 50, len(self._table)))):
            if nearest is not None:
                return nearest
        raise InvalidInput("video.no_frames", "No frame of the chosen part of the video can be decoded.")

    def _forward(self, numbers: Sequence[int]) -> Iterator[tuple[int, T | None]]:
        """(number, converted frame or None) for ascending numbers; a number may come several times."""
        if not len(numbers):
            return
        pts = self._table.pts
        with open_media(self._footage.path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = 2
            frames = self._from(container, stream, numbers[0])
            frame = next(frames, None)
            latest: tuple[int, T] | None = None
            for number in numbers:
                if latest is not None and latest[0] == number:
                    yield number, latest[1]
                    continue
                while frame is not None and frame.pts is not None and frame.pts < pts[number]:
                    frame = next(frames, None)
                if frame is None or frame.pts != pts[number]:
                    yield number, None
                    continue
                latest = (number, self._convert(frame))
                yield latest

    def _from(
        self, container: av.container.InputContainer, stream: av.VideoStream, number: int
    ) -> Iterator[av.VideoFrame]:
        """Decoded frames from the keyframe at or before `number`; packets that do not decode are skipped."""
        keys = self._table.keyframes
        key = keys[max(0, bisect_right(keys, number) - 1)]
        if key > 0 or self._table.times_ms[0] > _SLACK_MS:
            container.seek(int(self._table.pts[key]), stream=stream)
        try:
            for packet in container.demux(stream):
                if not packet.is_corrupt:
                    yield from _decoded(packet)
        except av.error.FFmpegError as error:
            log.info("decoding %s stopped early: %s", self._footage.path.name, error)


def _chunks(order: Sequence[int], held: int) -> Iterator[Sequence[int]]:
    """Cut an order of frames into ascending runs of any length and descending runs of at most `held`."""
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and order[end] == order[begin]:
            end += 1
        down = end < len(order) and order[end] < order[begin]
        while end < len(order):
            step = order[end] - order[end - 1]
            if (down and (step > 0 or step < -held or end - begin >= held)) or (not down and step < 0):
                break
            end += 1
        yield order[begin:end]
        begin = end


def _decoded(packet: Any) -> list[av.VideoFrame]:
    try:
        return [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
    except av.error.InvalidDataError:
        return []


def _rotation(frame: av.VideoFrame) -> int:
    return int(getattr(frame, "rotation", 0) or 0)


def _no_frames(name: str) -> InvalidInput:
    return InvalidInput(
        "video.no_frames",
        f"{name} holds no picture that can be decoded.",
        "Choose a file with a video track.",
    )
