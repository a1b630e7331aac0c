"""The sound of the whole video: scenes in a row, as long as their frames, levelled; assembly reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.filter import Graph

from avatar.media_files import open_media
from avatar.mono import MonoResampler
from avatar.spec import AudioCodec

Samples = npt.NDArray[np.float32]

BLOCK_SAMPLES = 4096
BOTH_SIDES = ("pan", "stereo|c0=c0|c1=c0")  # a plain layout change would lower the voice by 3 dB
SILENCE_LUFS = -69.9
"""R128 measures nothing below its absolute gate of -70."""


@dataclass(frozen=True, slots=True)
class SceneSound:
    """The voice of one scene and how long its pictures last; the next scene's begins `overlap` frames before
    they end.
    """

    wav: Path
    frames: int
    overlap: int = 0


@dataclass(frozen=True, slots=True)
class Loudness:
    """Values that EBU R128 measures: integrated loudness in LUFS (None for silence) and true peak in dBTP."""

    integrated_lufs: float | None
    true_peak_dbtp: float


def samples_of(frames: int, fps: int | Fraction, sample_rate_hz: int) -> int:
    """Samples that last as long as `frames` pictures."""
    return round(Fraction(frames * sample_rate_hz) / fps)


def read_sound(
    scenes: Iterable[SceneSound], fps: int | Fraction, sample_rate_hz: int
) -> Iterator[av.AudioFrame]:
    """Mono float blocks of all scenes, each padded with silence (or cut) to the length of its pictures.

    Lengths are counted from the start of the video, so rounding never adds up. Where scenes overlap both are
    heard.
    """
    begin_frame = 0
    position = 0
    held = np.zeros(0, np.float32)
    for scene in scenes:
        end = samples_of(begin_frame + scene.frames, fps, sample_rate_hz)
        begin_frame += scene.frames - scene.overlap
        free = samples_of(begin_frame, fps, sample_rate_hz)  # from here on the next scene is heard as well
        begin = position
        rest: list[Samples] = []
        for block in _padded(mono_blocks(scene.wav, sample_rate_hz), end - position):
            earlier = held[position - begin : position - begin + len(block)]
            if len(earlier):
                block = block.copy()
                block[: len(earlier)] += earlier
            now = block[: max(0, free - position)]
            if len(now):
                yield _frame(now, position, sample_rate_hz)
            rest.append(block[len(now) :])
            position += len(block)
        held = np.concatenate([np.zeros(0, np.float32), *rest])
        position = free
    if len(held):
        yield _frame(held, position, sample_rate_hz)


def _padded(blocks: Iterable[Samples], length: int) -> Iterator[Samples]:
    """So many samples, filled up with silence or cut."""
    done = 0
    for block in blocks:
        part = block[: length - done]
        if len(part):
            yield part
        done += len(part)
    while done < length:
        silence = np.zeros(min(BLOCK_SAMPLES, length - done), np.float32)
        yield silence
        done += len(silence)


def mono_blocks(wav: Path, sample_rate_hz: int) -> Iterator[Samples]:
    """A WAV as float blocks at another rate, full scale = 1."""
    with open_media(wav) as container:
        yield from resample(container.decode(audio=0), sample_rate_hz, wav.name)


def resample(frames: Iterable[av.AudioFrame], sample_rate_hz: int, file: str) -> Iterator[Samples]:
    """Decoded frames, one after the other, as mono float blocks. Their format may change on the way.

    `file` is their file's name. Raises InvalidInput `audio.unmixable`.
    """
    resampler: MonoResampler | None = None
    setup: tuple[str, str, int] | None = None
    for decoded in frames:
        found = (decoded.format.name, decoded.layout.name, decoded.sample_rate)
        if resampler is None or found != setup:
            if resampler is not None:
                yield from map(mono_samples, resampler.resample(None))
            resampler = MonoResampler("flt", sample_rate_hz, file, frame_size=BLOCK_SAMPLES)
            setup = found
        yield from map(mono_samples, resampler.resample(decoded))
    if resampler is not None:
        yield from map(mono_samples, resampler.resample(None))


def measure(blocks: Iterable[av.AudioFrame], sample_rate_hz: int, channels: int = 1) -> Loudness:
    """Loudness after EBU R128 (ITU-R BS.1770-4) of stereo blocks, or of mono blocks on two loudspeakers."""
    meter = ("ebur128", "metadata=1:peak=true")
    graph = _graph(sample_rate_hz, [BOTH_SIDES, meter] if channels == 1 else [meter], channels)
    lufs = -np.inf
    peak = 0.0
    for frame in _run(graph, blocks):
        values = frame.metadata
        lufs = float(values.get("lavfi.r128.I", lufs))
        peak = max(peak, *(float(values.get(f"lavfi.r128.true_peaks_ch{c}", 0.0)) for c in (0, 1)))
    return Loudness(lufs if lufs > SILENCE_LUFS else None, 20 * float(np.log10(max(peak, 1e-6))))


def apply_gain(
    blocks: Iterable[av.AudioFrame], gain_db: float, target: AudioCodec, channels: int = 1
) -> Iterator[av.AudioFrame]:
    """Stereo float blocks with `gain_db` applied and true peaks kept under the target's limit.

    The limiter works at four times the rate, where peaks between samples are visible; it adds no delay.
    """
    limit = 10 ** (target.true_peak_dbtp / 20)
    graph = _graph(
        target.sample_rate_hz,
        [
            ("volume", f"volume={gain_db:.3f}dB:precision=float"),
            ("aresample", f"{target.sample_rate_hz * 4}"),
            ("alimiter", f"limit={limit:.5f}:attack=2:release=60:level=disabled:latency=1"),
            ("aresample", f"{target.sample_rate_hz}"),
            *([BOTH_SIDES] if channels == 1 else []),
            ("aformat", "sample_fmts=fltp"),
        ],
        channels,
    )
    yield from _run(graph, blocks)


def limit_peaks(blocks: Iterable[Samples], sample_rate_hz: int) -> Iterator[Samples]:
    """Mono blocks with what would clip held down; whatever stays below full scale passes unchanged."""
    limiter = ("alimiter", "limit=1:attack=2:release=60:level=disabled:latency=1")
    graph = _graph(sample_rate_hz, [limiter, ("aformat", "sample_fmts=flt")])
    yield from map(mono_samples, _run(graph, _numbered(blocks, sample_rate_hz)))


def _numbered(blocks: Iterable[Samples], sample_rate_hz: int) -> Iterator[av.AudioFrame]:
    position = 0
    for block in blocks:
        yield _frame(block, position, sample_rate_hz)
        position += len(block)


def mono_samples(frame: av.AudioFrame) -> Samples:
    """Returns the samples of a mono frame."""
    return np.asarray(frame.to_ndarray(), dtype=np.float32).reshape(-1)


def _frame(samples: Samples, position: int, sample_rate_hz: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="mono")
    return stamp_frame(frame, position, sample_rate_hz)


def stamp_frame(frame: av.AudioFrame, position: int, sample_rate_hz: int) -> av.AudioFrame:
    """Returns the frame with its rate, and its time counted in samples."""
    frame.sample_rate = sample_rate_hz
    frame.pts = position
    frame.time_base = Fraction(1, sample_rate_hz)
    return frame


def _graph(sample_rate_hz: int, filters: list[tuple[str, str]], channels: int = 1) -> Graph:
    graph = Graph()
    nodes = [
        graph.add_abuffer(
            sample_rate=sample_rate_hz,
            format="flt" if channels == 1 else "fltp",
            layout="mono" if channels == 1 else "stereo",
            time_base=Fraction(1, sample_rate_hz),
        )
    ]
    nodes += [graph.add(name, arguments) for name, arguments in filters]
    nodes.append(graph.add("abuffersink"))
    for left, right in pairwise(nodes):
        left.link_to(right)
    graph.configure()
    return graph


def _run(graph: Graph, blocks: Iterable[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    for block in blocks:
        graph.push(block)
        yield from _drain(graph)
    graph.push(None)
    yield from _drain(graph)


def _drain(graph: Graph) -> Iterator[av.AudioFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        if isinstance(frame, av.AudioFrame):
            yield frame
