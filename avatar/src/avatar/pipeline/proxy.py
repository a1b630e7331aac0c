"""Encodes a small copy of a video, for playing it in an editor; `avatar proxy` calls it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from heapq import merge
from itertools import chain
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from avatar.encode.assembly import Packet, seconds_of
from avatar.encode.atomic import atomic_file
from avatar.encode.sound import resample
from avatar.media_files import decodable, open_media
from avatar.named_media import until_damage
from avatar.pipeline.context import Context
from avatar.pipeline.files import describe, require_mp4
from avatar.pipeline.film import Film, open_film, size_within, turns_of, unreadable_film, upright
from avatar.spec import Finished, MediaFacts, StageStarted

LONG_PX, SHORT_PX = 854, 480
MAX_FPS = 30
TICKS_HZ = 90_000
KEY_FRAMES = 60
SOUND_HZ, SOUND_KBPS = 48_000, 80
SOUND_BLOCK = 1024
LATEST_S = 3600.0


def make_proxy(path: Path, target: Path, context: Context) -> Finished:
    """Write an MP4 of H.264 and AAC (mono), at most 854 x 480 pixels (480 x 854 upright) and 30 pictures a
    second, index in front. Raises InvalidInput as `open_film` does, and `output.not_mp4`.
    """
    require_mp4(target)
    context.tell(StageStarted(stage="frames"))
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_film(path) as film, ExitStack() as stack:
        frames = film.frames()
        first = next(frames, None)
        if first is None:
            raise unreadable_film(path)
        lying = first.width >= first.height if turns_of(first) % 2 == 0 else first.height > first.width
        box = (LONG_PX, SHORT_PX) if lying else (SHORT_PX, LONG_PX)
        size = size_within(first, *box)
        part = stack.enter_context(atomic_file(target))
        container = stack.enter_context(
            av.open(str(part), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"})
        )
        pictures = _Pictures(film, _video_stream(container, size), size, context)
        sound = _Sound(path, container, film.start_s, stack)
        for packet in merge(pictures.packets(chain((first,), frames)), sound.packets(), key=seconds_of):
            container.mux(packet)
    facts = MediaFacts(kind="video", width=size[0], height=size[1])
    return Finished(
        files=(describe("proxy", target),),
        duration_ms=round(pictures.last_s * 1000),
        frames=pictures.count,
        media=facts,
    )


class _Pictures:
    def __init__(self, film: Film, stream: VideoStream, size: tuple[int, int], context: Context) -> None:
        self._start_s = film.start_s
        self._stream = stream
        self._size = size
        self._context = context
        self.count = 0
        self.last_s = 0.0

    def packets(self, frames: Iterator[av.VideoFrame]) -> Iterator[Packet]:
        last = -TICKS_HZ
        for frame in frames:
            self._context.check()
            ticks = round(((frame.time or 0.0) - self._start_s) * TICKS_HZ)
            # A little less than the time between two pictures: clocks of files are rounded.
            if ticks < 0 or ticks - last < 0.9 * TICKS_HZ / MAX_FPS:
                continue
            last = ticks
            small = self._small(frame)
            small.pts, small.time_base = ticks, Fraction(1, TICKS_HZ)
            self.count += 1
            self.last_s = ticks / TICKS_HZ
            yield from self._stream.encode(small)
        yield from self._stream.encode(None)

    def _small(self, frame: av.VideoFrame) -> av.VideoFrame:
        width, height = self._size
        if turns_of(frame) == 0:
            return frame.reformat(width=width, height=height, format="yuv420p")
        turned = av.VideoFrame.from_ndarray(upright(frame, width, height), format="bgr24")
        return turned.reformat(format="yuv420p")


class _Sound:
    """The file's sound, read through a second door of its own: pictures and sound advance at their own
    pace.
    """

    def __init__(
        self, path: Path, container: av.container.OutputContainer, start_s: float, stack: ExitStack
    ) -> None:
        self._name = path.name
        self._start_s = start_s
        self._stream: AudioStream | None = None
        source = stack.enter_context(open_media(path))
        audio = next((one for one in source.streams.audio if decodable(one)), None)
        self._frames = until_damage(source.decode(audio)) if audio is not None else iter(())
        self._first = next(self._frames, None)
        if self._first is not None:
            self._stream = container.add_stream("aac", rate=SOUND_HZ, layout="mono")
            self._stream.bit_rate = SOUND_KBPS * 1000

    def packets(self) -> Iterator[Packet]:
        if self._first is None or self._stream is None:
            return
        late_s = min(max((self._first.time or 0.0) - self._start_s, 0.0), LATEST_S)
        position = round(late_s * SOUND_HZ)
        for block in resample(chain((self._first,), self._frames), SOUND_HZ, self._name):
            for begin in range(0, len(block), SOUND_BLOCK):
                samples = block[begin : begin + SOUND_BLOCK].reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, position, Fraction(1, SOUND_HZ)
                position += samples.shape[1]
                yield from self._stream.encode(frame)
        yield from self._stream.encode(None)


def _video_stream(container: av.container.OutputContainer, size: tuple[int, int]) -> VideoStream:
    options = {"preset": "veryfast", "crf": "28", "g": str(KEY_FRAMES)}
    stream = container.add_stream("libx264", rate=MAX_FPS, options=options)
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    # Times of variable rates are kept as they are.
    stream.codec_context.time_base = Fraction(1, TICKS_HZ)
    return stream
