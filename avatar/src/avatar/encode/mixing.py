"""Lays the sound of video overlays under the voice of a scene; the segment stage calls it."""

from __future__ import annotations

import wave
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from avatar.encode.sound import Samples, limit_peaks, mono_blocks, resample
from avatar.media_files import decodable, open_media

MIX_RATE_HZ = 48_000
"""Above any voice's rate: what lies under the voice may be music."""
SHORTEST_FADE_MS = 10
"""A sound that is cut within a wave clicks."""


@dataclass(frozen=True, slots=True)
class Underlay:
    """The sound of `file` from `start_ms` to `end_ms` of the scene, faded in and out over `fade_ms`.

    It begins `from_ms` behind where the file's pictures begin, and ends with `until_ms` or with the file when
    that is shorter, or begins again there with `loop`.
    """

    file: Path
    start_ms: int
    end_ms: int
    gain_db: float
    fade_ms: int = 0
    from_ms: int = 0
    until_ms: int | None = None
    loop: bool = False


def has_sound(file: Path) -> bool:
    """Returns whether a video has a sound stream that can be decoded."""
    with open_media(file) as container:
        return bool(container.streams.audio) and decodable(container.streams.audio[0])


def mix(voice: Path, underlays: Sequence[Underlay], target: Path) -> list[Path]:
    """Write `target`, a 16-bit mono WAV as long as `voice`, with the underlays beneath it.

    Sums that would clip are held down by a limiter; the voice alone passes it unchanged below full scale.
    Returns the files whose sound broke off.
    """
    streams = [_Stream(underlay) for underlay in underlays]
    with wave.open(str(target), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(MIX_RATE_HZ)
        with ExitStack() as stack:
            for stream in streams:
                stack.enter_context(closing(stream))
            for block in limit_peaks(_summed(voice, streams), MIX_RATE_HZ):
                wav.writeframesraw(np.clip(np.rint(block * 32768), -32768, 32767).astype("<i2").tobytes())
    return [underlay.file for underlay, stream in zip(underlays, streams, strict=True) if stream.damaged]


def _summed(voice: Path, streams: Sequence[_Stream]) -> Iterator[Samples]:
    """Blocks of the voice, each with what belongs under it."""
    position = 0
    for block in mono_blocks(voice, MIX_RATE_HZ):
        total = block.copy()
        for stream in streams:
            stream.add_to(total, position)
        position += len(block)
        yield total


class _Stream:
    """One underlay, read as far as the scene has come."""

    def __init__(self, underlay: Underlay) -> None:
        self.damaged = False
        self._first = _samples(underlay.start_ms)
        self._end = _samples(underlay.end_ms)
        self._gain = 10 ** (underlay.gain_db / 20)
        fade_ms = min(max(underlay.fade_ms, SHORTEST_FADE_MS), (underlay.end_ms - underlay.start_ms) / 2)
        self._fade = max(1, _samples(fade_ms))
        self._blocks = self._played(underlay)
        self._rest = np.zeros(0, np.float32)

    def add_to(self, block: Samples, position: int) -> None:
        """Adds what sounds in `block`, whose first sample is the scene's sample `position`."""
        begin, end = max(self._first, position), min(self._end, position + len(block))
        if begin >= end:
            return
        samples = self._take(end - begin)
        at = np.arange(begin, begin + len(samples), dtype=np.float32)
        level = np.clip(np.minimum(at - self._first, self._end - at) / self._fade, 0, 1) * self._gain
        block[begin - position : begin - position + len(samples)] += samples * level

    def close(self) -> None:
        self._blocks.close()

    def _take(self, count: int) -> Samples:
        """The next `count` samples, or fewer at the end of the file."""
        parts, have = [self._rest], len(self._rest)
        while have < count and (block := next(self._blocks, None)) is not None:
            parts.append(block)
            have += len(block)
        whole = np.concatenate(parts)
        self._rest = whole[count:]
        return whole[:count]

    def _played(self, underlay: Underlay) -> Generator[Samples]:
        """The part of the file that is heard, again and again with `loop`."""
        first = _samples(underlay.from_ms)
        last = None if underlay.until_ms is None else _samples(underlay.until_ms)
        while True:
            position = audible = 0
            with closing(self._read(underlay.file)) as blocks:
                for block in blocks:
                    part = block[max(0, first - position) : None if last is None else max(0, last - position)]
                    position += len(block)
                    audible += len(part)
                    if len(part):
                        yield part
                    if last is not None and position >= last:
                        break
            if not underlay.loop or not audible or self.damaged:
                return

    def _read(self, file: Path) -> Generator[Samples]:
        """The sound from the moment of the first picture on; of a file without any, from its own start."""
        with open_media(file) as container:
            sound = container.streams.audio[0]
            zero = container.streams.video[0] if container.streams.video else sound
            zero_s = float((zero.start_time or 0) * (zero.time_base or 0))
            frames = self._until_damage(container.decode(sound))
            first = next(frames, None)
            if first is None:
                return
            late = _samples(1000 * ((first.time or 0.0) - zero_s))
            for begin in range(0, late, MIX_RATE_HZ):
                yield np.zeros(min(late - begin, MIX_RATE_HZ), np.float32)
            early = max(0, -late)
            for block in resample(chain([first], frames), MIX_RATE_HZ, file.name):
                # A sample that is no number would silence the voice above it.
                yield np.nan_to_num(block[early:], nan=0.0, posinf=0.0, neginf=0.0)
                early = max(0, early - len(block))

    def _until_damage(self, frames: Iterator[av.AudioFrame]) -> Iterator[av.AudioFrame]:
        try:
            yield from frames
        except FFmpegError:
            self.damaged = True


def _samples(ms: float) -> int:
    return round(ms * MIX_RATE_HZ / 1000)
