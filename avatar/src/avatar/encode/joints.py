"""Joins segments to a row of packets: what nothing crosses is copied, what a transition reaches is encoded.

Segments are closed groups of pictures of one length, so copying may begin and end at any of them. A
transition plays the last frames of one scene and the first of the next at once; only the groups that it
touches are decoded, mixed and encoded again, with the parameters of the segments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from avatar.compose.colour import Pixels, Planes
from avatar.encode.segment_writer import gop_frames, segment_writer
from avatar.errors import InvalidInput
from avatar.media_files import open_media
from avatar.spec import Canvas, Transition, VideoCodec

BETTER_CRF = 3
"""Pictures that are encoded a second time lose less."""
_BLACK = (16, 128, 128)
VideoPacket: TypeAlias = "av.Packet[VideoStream]"
Triple: TypeAlias = tuple[Pixels, Pixels, Pixels]


@dataclass(frozen=True, slots=True)
class Reel:
    """A scene's segment in the film. `overlap` frames at its end are seen together with the next reel's
    first ones, in the way of `transition`.
    """

    video: Path
    frames: int
    overlap: int = 0
    transition: Transition = field(default_factory=Transition)


@dataclass(frozen=True, slots=True)
class Fades:
    """Frames over which the film comes out of black and goes back to it."""

    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class _Copied:
    """Frames `first` up to `end` of a segment, whose packets are taken as they are."""

    video: Path
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class _Encoded:
    """Frames that are decoded and encoded again: each as (reel, frame) and, in a transition, the second."""

    frames: tuple[tuple[int, int, int, float], ...]
    """(reel, frame, frame of the next reel or -1, progress of the transition or brightness)."""


def film_frames(reels: Sequence[Reel]) -> int:
    return sum(reel.frames - reel.overlap for reel in reels)


def start_frames(reels: Sequence[Reel]) -> list[int]:
    """The frame of the film that each reel begins with."""
    starts, at = [], 0
    for reel in reels:
        starts.append(at)
        at += reel.frames - reel.overlap
    return starts


class JointEncoder:
    """Makes the packets of a film. What is encoded again is written to `work` first, clip by clip."""

    def __init__(
        self, reels: Sequence[Reel], fades: Fades, canvas: Canvas, codec: VideoCodec, work: Path
    ) -> None:
        self._reels = reels
        self._canvas = canvas
        self._codec = codec.model_copy(update={"crf": max(0, codec.crf - BETTER_CRF)})
        self._gop = gop_frames(canvas, codec)
        self._work = work
        self._parts = self._plan(fades)

    @property
    def encoded_frames(self) -> int:
        """Returns how many frames are encoded a second time."""
        return sum(len(part.frames) for part in self._parts if isinstance(part, _Encoded))

    def clips(self, check: Callable[[], None]) -> Iterator[tuple[Path, int, int]]:
        """File, first frame and end of each part of the film in order; files of clips are made as needed."""
        for number, part in enumerate(self._parts):
            if isinstance(part, _Copied):
                yield part.video, part.first, part.end
                continue
            clip = self._work / f"joint-{number}.mp4"
            with segment_writer(clip, self._canvas, self._codec) as writer:
                for planes in self._mixed(part):
                    check()
                    writer.write(planes)
            yield clip, 0, len(part.frames)
            clip.unlink()

    def _plan(self, fades: Fades) -> list[_Copied | _Encoded]:
        parts: list[_Copied | _Encoded] = []
        total, starts = film_frames(self._reels), start_frames(self._reels)

        def encode(frames: list[tuple[int, int, int, float]]) -> None:
            if not frames:
                return
            if parts and isinstance(parts[-1], _Encoded):
                frames = [*parts.pop().frames, *frames]  # type: ignore[union-attr] # it is an _Encoded
            parts.append(_Encoded(tuple(frames)))

        def light(at: int) -> float:
            rising = (at + 1) / (fades.first + 1) if at < fades.first else 1.0
            left = total - 1 - at
            return min(rising, (left + 1) / (fades.last + 1) if left < fades.last else 1.0)

        before = 0
        for number, reel in enumerate(self._reels):
            begin, end = before, reel.frames - reel.overlap
            dark_from = max(begin, end - max(0, starts[number] + end - (total - fades.last)))
            dark_until = min(end, max(begin, fades.first - starts[number]))
            first = -(-max(begin, dark_until) // self._gop) * self._gop
            whole_end = reel.overlap == 0 and dark_from >= end
            last = end if whole_end else dark_from // self._gop * self._gop
            if first < last:
                encode([(number, at, -1, light(starts[number] + at)) for at in range(begin, first)])
                parts.append(_Copied(reel.video, first, last))
                begin = last
            encode([(number, at, -1, light(starts[number] + at)) for at in range(begin, end)])
            encode([(number, end + at, at, (at + 1) / (reel.overlap + 1)) for at in range(reel.overlap)])
            before = reel.overlap
        return parts

    def _mixed(self, part: _Encoded) -> Iterator[Planes]:
        """Yields each frame; valid until the next one is asked for."""
        out = Planes(self._canvas.width, self._canvas.height)
        readers: dict[int, _Reader] = {}
        try:
            for reel, frame, other, amount in part.frames:
                for passed in [number for number in readers if number < reel]:
                    readers.pop(passed).close()
                one = self._reader(readers, reel).frame(frame)
                if other >= 0:
                    two = self._reader(readers, reel + 1).frame(other)
                    mix(one, two, (out.y, out.cb, out.cr), self._reels[reel].transition, amount)
                else:
                    _dim(one, (out.y, out.cb, out.cr), amount)
                yield out
        finally:
            for reader in readers.values():
                reader.close()

    def _reader(self, readers: dict[int, _Reader], reel: int) -> _Reader:
        if reel not in readers:
            readers[reel] = _Reader(self._reels[reel].video, self._gop, self._canvas)
        return readers[reel]


class _Reader:
    """Frames of a segment by their number, read in order."""

    def __init__(self, video: Path, gop: int, canvas: Canvas) -> None:
        self._open = ExitStack()
        self._container = self._open.enter_context(open_media(video))
        self._stream = self._container.streams.video[0]
        self._gop = gop
        self._fps = canvas.rate
        self._decoded: Iterator[av.VideoFrame] | None = None
        self._at = -1
        self._planes: Triple | None = None

    def frame(self, number: int) -> Triple:
        """Luma and chroma of frame `number`, which is not before the one read last."""
        if self._decoded is None:
            key = number // self._gop * self._gop
            base = self._stream.time_base or Fraction(1, 1)
            self._container.seek(round(Fraction(key) / self._fps / base), stream=self._stream)
            self._decoded = self._container.decode(self._stream)
        while self._at < number:
            frame = next(self._decoded, None)
            if frame is None or frame.pts is None:
                break
            self._at = round(frame.pts * (frame.time_base or 1) * self._fps)
            self._planes = _planes(frame)
        if self._planes is None:
            raise InvalidInput(
                "render.segment_broken", "A segment holds fewer pictures than it says.", "Make it again."
            )
        return self._planes

    def close(self) -> None:
        self._open.close()


def _planes(frame: av.VideoFrame) -> Triple:
    rows = np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8)
    height, width = frame.height, frame.width
    chroma = rows[height:].reshape(2, height // 2, width // 2)
    return rows[:height], chroma[0], chroma[1]


def mix(one: Triple, two: Triple, out: Triple, transition: Transition, progress: float) -> None:
    """Write to `out` the moment `progress` (0 to 1) of the transition from `one` to `two`."""
    eased = progress * progress * (3 - 2 * progress)
    if transition.kind == "fade":
        _dim(one if progress < 0.5 else two, out, abs(1 - 2 * progress))
        return
    for a, b, target in zip(one, two, out, strict=True):
        if transition.kind == "dissolve":
            cv2.addWeighted(a, 1 - progress, b, progress, 0, dst=target)
        elif transition.kind == "wipe":
            _wipe(a, b, target, transition.direction, eased)
        elif transition.kind == "slide":
            _slide(a, b, target, transition.direction, eased)
        else:
            np.copyto(target, b)


def _turned(planes: Sequence[Pixels], direction: str) -> list[Pixels]:
    """Views in which the direction is `left`."""
    if direction in ("up", "down"):
        planes = [plane.T for plane in planes]
    return [plane[:, ::-1] for plane in planes] if direction in ("right", "down") else list(planes)


def _wipe(a: Pixels, b: Pixels, out: Pixels, direction: str, progress: float) -> None:
    """A soft edge goes across: `b` is uncovered behind it."""
    one, two, target = _turned((a, b, out), direction)
    width = one.shape[1]
    soft = max(2.0, 0.06 * width)
    edge = (1 - progress) * (width + 2 * soft) - soft
    weight = np.clip((np.arange(width) - edge) / soft + 0.5, 0, 1).astype(np.float32)
    target[...] = (one + (two.astype(np.float32) - one) * weight + 0.5).astype(np.uint8)


def _slide(a: Pixels, b: Pixels, out: Pixels, direction: str, progress: float) -> None:
    """`b` comes in and pushes `a` out."""
    one, two, target = _turned((a, b, out), direction)
    width = one.shape[1]
    moved = min(width, round(progress * width))
    target[:, : width - moved] = one[:, moved:]
    target[:, width - moved :] = two[:, :moved]


def _dim(planes: Triple, out: Triple, light: float) -> None:
    for plane, target, black in zip(planes, out, _BLACK, strict=True):
        if light >= 1:
            np.copyto(target, plane)
        else:
            cv2.addWeighted(plane, light, np.full_like(plane, black), 1 - light, 0, dst=target)


def packets_of(
    clips: Iterator[tuple[Path, int, int]], stream: VideoStream, canvas: Canvas
) -> Iterator[VideoPacket]:
    """Packets of all clips with times counted in frames from the start of the video.

    Decode times run on without a gap: all clips have one header, and so one reordering delay. Raises
    InvalidInput `render.segments_differ`.
    """
    rate = canvas.rate
    first_frame = 0
    delay: int | None = None
    header: bytes | None = None
    for path, first, end in clips:
        count = 0
        with open_media(path) as container:
            source = container.streams.video[0]
            header = header or source.codec_context.extradata
            if source.codec_context.extradata != header:
                raise InvalidInput(
                    "render.segments_differ",
                    f"Segment {path.parent.name} was encoded with other parameters than the first one.",
                    "Make all segments from the same spec and the same version of the worker.",
                )
            filled = (one for one in container.demux(source) if one.dts is not None and one.pts is not None)
            for number, packet in enumerate(islice(filled, end)):
                if delay is None:
                    delay = _frames(-(packet.dts or 0), packet, rate)
                if number < first:
                    continue
                packet.pts = first_frame + _frames(packet.pts or 0, packet, rate) - first
                packet.dts = first_frame + count - delay
                packet.duration = 1
                packet.time_base = 1 / rate
                packet.stream = stream
                count += 1
                yield packet
        first_frame += count


def _frames(ticks: int, packet: VideoPacket, rate: Fraction) -> int:
    return round(ticks * packet.time_base * rate)
