"""Any sound or video file that FFmpeg reads -> the worker's 16-bit mono WAV; used for supplied audio and HTTP
voices.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError

from avatar.errors import InvalidInput
from avatar.media_files import decodable
from avatar.mono import MonoResampler
from avatar.named_media import open_readable
from avatar.speech.sound import Samples, WavWriter, blocks, rate_hz

MAX_AUDIO_S = 3 * 3600
MIN_AUDIO_MS = 40
_TOLERATED_ERRORS = 50
_FLOATS = ("flt", "fltp", "dbl", "dblp")


@dataclass(frozen=True, slots=True)
class Decoded:
    """The result of decoding a file: its length, and whether parts of it could not be read."""

    samples: int
    damaged: bool


def best_rate_hz(rate_hz: int) -> int:
    """The rate to keep a recording at: its own when that is usual, else the nearest usual one."""
    return next(
        (usual for usual in (16_000, 22_050, 24_000, 32_000, 44_100, 48_000) if usual >= rate_hz), 48_000
    )


def whole_rate_hz(rate_hz: int) -> Literal[44100, 48000]:
    """The rate of a video's sound for one of `best_rate_hz`: its own, or a higher one, a multiple where
    there is one.
    """
    return 44_100 if 44_100 % rate_hz == 0 else 48_000


def probe_rate_hz(path: Path) -> int:
    """Sample rate of the first sound stream; raises InvalidInput as `decode_into` does."""
    with _open(path) as container:
        return int(_audio_stream(container, path).rate or 48_000)


def decode_into(path: Path, writer: WavWriter) -> Decoded:
    """Append the first sound stream of `path` to `writer`, mixed to mono, at the writer's rate.

    A file that breaks off or has damaged parts gives what can be read (`damaged`). Raises InvalidInput with
    `speech.audio_missing`, `audio_empty`, `audio_unreadable`, `no_audio`, `audio_too_short`,
    `audio_too_long`, and with `audio.unmixable`.
    """
    before = writer.samples
    damaged = False
    with _open(path) as container:
        stream = _audio_stream(container, path)
        # A resampler knows one input format; some broadcasts change theirs on the way.
        resampler, setup = MonoResampler("s16", writer.rate_hz, path.name), None
        for frame in _frames(container, stream):
            if frame is None:
                damaged = True
                continue
            if setup is not None and setup != (frame.format.name, frame.layout.name, frame.sample_rate):
                _write(writer, resampler.resample(None))
                resampler = MonoResampler("s16", writer.rate_hz, path.name)
            setup = (frame.format.name, frame.layout.name, frame.sample_rate)
            frame, whole = _of_numbers(frame)
            damaged = damaged or not whole
            frame.pts = None
            _write(writer, resampler.resample(frame))
            if writer.samples - before > MAX_AUDIO_S * writer.rate_hz:
                raise InvalidInput(
                    "speech.audio_too_long",
                    f"The sound of {path.name} is longer than {MAX_AUDIO_S // 3600} hours.",
                    "Cut it into several scenes.",
                )
        if setup is not None:
            _write(writer, resampler.resample(None))
        declared_s = float(container.duration or 0) / av.time_base
    samples = writer.samples - before
    if samples * 1000 < MIN_AUDIO_MS * writer.rate_hz:
        if damaged:
            raise _unreadable(path)
        raise InvalidInput(
            "speech.audio_too_short",
            f"{path.name} holds less than {MIN_AUDIO_MS} ms of sound.",
            "Supply a longer recording.",
        )
    lost = declared_s - samples / writer.rate_hz
    return Decoded(samples, damaged or (declared_s < MAX_AUDIO_S and lost > max(0.5, 0.02 * declared_s)))


def read_resampled(wav: Path, to_hz: int, start_ms: int, end_ms: int) -> Samples:
    """A span of a WAV at another rate (the aligner wants 16 kHz)."""
    parts = list(resample_blocks(wav, to_hz, start_ms, end_ms))
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)


def resample_blocks(wav: Path, to_hz: int, start_ms: int = 0, end_ms: int | None = None) -> Iterator[Samples]:
    """Yields a span of a WAV at another rate, block by block."""
    source_hz = rate_hz(wav)
    if source_hz == to_hz:
        yield from blocks(wav, start_ms, end_ms)
        return
    resampler = MonoResampler("s16", to_hz, wav.name)
    read = False
    for block in blocks(wav, start_ms, end_ms):
        frame = av.AudioFrame.from_ndarray(block[np.newaxis, :], format="s16", layout="mono")
        frame.sample_rate = source_hz
        read = True
        yield from map(_mono, resampler.resample(frame))
    if read:
        yield from map(_mono, resampler.resample(None))


def _mono(frame: av.AudioFrame) -> Samples:
    return np.asarray(frame.to_ndarray(), dtype=np.int16).reshape(-1)


def _write(writer: WavWriter, frames: list[av.AudioFrame]) -> None:
    for frame in frames:
        writer.write(_mono(frame))


def _of_numbers(frame: av.AudioFrame) -> tuple[av.AudioFrame, bool]:
    """The frame with 0 for samples that are no numbers, and whether there were none: as whole numbers they
    would be the loudest there are.
    """
    if frame.format.name not in _FLOATS:
        return frame, True
    samples: npt.NDArray[Any] = frame.to_ndarray()
    if np.isfinite(samples).all():
        return frame, True
    samples[~np.isfinite(samples)] = 0
    mended = av.AudioFrame.from_ndarray(samples, frame.format.name, frame.layout.name)
    mended.sample_rate = frame.sample_rate
    return mended, False


@contextmanager
def _open(path: Path) -> Iterator[av.container.InputContainer]:
    if not path.is_file():
        raise InvalidInput(
            "speech.audio_missing", f"There is no file {path.name}.", "upload the recording again"
        )
    if path.stat().st_size == 0:
        raise InvalidInput("speech.audio_empty", f"{path.name} is empty.", "upload the recording again")
    with open_readable(path, _unreadable(path)) as container:
        yield container


def _unreadable(path: Path) -> InvalidInput:
    return InvalidInput(
        "speech.audio_unreadable",
        f"{path.name} is not a sound or video file that can be read.",
        "Supply WAV, MP3, M4A, OGG, FLAC, MP4 or WebM.",
    )


def _audio_stream(container: av.container.InputContainer, path: Path) -> av.AudioStream:
    if not container.streams.audio:
        raise InvalidInput(
            "speech.no_audio", "The file has no sound.", "Supply a recording with a sound track."
        )
    stream = container.streams.audio[0]
    if not decodable(stream):
        raise _unreadable(path)
    return stream


def _frames(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame | None]:
    """Decoded frames; None for each damaged part, until too many say that this is no sound at all."""
    errors = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FFmpegError:
            yield None
            return
        try:
            for frame in packet.decode():
                if isinstance(frame, av.AudioFrame):
                    yield frame
        except FFmpegError:
            errors += 1
            yield None
            if errors > _TOLERATED_ERRORS:
                return
