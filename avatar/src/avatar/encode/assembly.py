"""Joins segments and sound into the finished MP4 without encoding a picture again; pipeline.assemble calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from heapq import merge
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from avatar.encode.atomic import atomic_file
from avatar.encode.sound import SceneSound, levelled, measure, read_sound
from avatar.errors import InvalidInput
from avatar.spec import AudioCodec

MAX_LEVEL_ROUNDS = 3
LEVEL_TOLERANCE_LU = 0.3


def join(
    target: Path,
    segments: Sequence[Path],
    sounds: Sequence[SceneSound],
    *,
    fps: int,
    codec: AudioCodec,
    metadata: dict[str, str],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Write `target`: the segments' packets in a row, the levelled sound as AAC, the index in front (faststart).

    `check` is called for every packet and may raise to stop the work.
    Raises `InvalidInput` (`render.segments_differ`) for segments encoded with other parameters than the first, and
    `Unavailable` when the file cannot be written.
    """
    gain_db = _gain(sounds, fps, codec)
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with atomic_file(target) as part, av.open(str(part), "w", format="mp4", options=options) as container:
        container.metadata.update(metadata)
        with av.open(str(segments[0])) as first:
            video = container.add_stream_from_template(first.streams.video[0])
        audio = container.add_stream("aac", rate=codec.sample_rate_hz, layout="stereo")
        audio.bit_rate = codec.bitrate_kbps * 1000
        pictures = _pictures(segments, video, fps)
        sound = _encoded(levelled(read_sound(sounds, fps, codec.sample_rate_hz), gain_db, codec), audio)
        for packet in merge(pictures, sound, key=_seconds):
            check()
            container.mux(packet)


def _gain(sounds: Sequence[SceneSound], fps: int, codec: AudioCodec) -> float:
    """Decibels that bring the whole video to its loudness; the limiter's own loss is measured and made up for."""
    rate = codec.sample_rate_hz
    loudness = measure(read_sound(sounds, fps, rate), rate)
    if loudness.integrated_lufs is None:
        return 0.0
    gain = codec.loudness_lufs - loudness.integrated_lufs
    if loudness.true_peak_dbtp + gain <= codec.true_peak_dbtp:
        return gain
    for _ in range(MAX_LEVEL_ROUNDS):
        limited = measure(levelled(read_sound(sounds, fps, rate), gain, codec), rate, channels=2)
        miss = codec.loudness_lufs - (limited.integrated_lufs or codec.loudness_lufs)
        gain += miss
        if abs(miss) <= LEVEL_TOLERANCE_LU:
            break
    return gain


def _pictures(segments: Iterable[Path], stream: VideoStream, fps: int) -> Iterator[av.Packet]:
    """Packets of all segments with times counted in frames from the start of the video."""
    first_frame = 0
    delay = 0
    extradata: bytes | None = None
    for index, path in enumerate(segments):
        count = 0
        with av.open(str(path)) as container:
            source = container.streams.video[0]
            extradata = extradata or source.codec_context.extradata
            if source.codec_context.extradata != extradata:
                raise InvalidInput(
                    "render.segments_differ",
                    f"Segment {path.parent.name} was encoded with other parameters than the first one.",
                    "Make all segments from the same spec and the same version of the worker.",
                )
            unit = 1 / (source.time_base * fps)
            for packet in container.demux(source):
                if packet.dts is None:
                    continue
                if index == 0 and count == 0:
                    delay = round(-packet.dts / unit)
                packet.pts = first_frame + round(packet.pts / unit)
                packet.dts = first_frame + count - delay
                packet.duration = 1
                packet.time_base = Fraction(1, fps)
                packet.stream = stream
                count += 1
                yield packet
        first_frame += count


def _encoded(blocks: Iterable[av.AudioFrame], stream: AudioStream) -> Iterator[av.Packet]:
    for block in blocks:
        yield from stream.encode(block)
    yield from stream.encode(None)


def _seconds(packet: av.Packet) -> Fraction:
    return Fraction(packet.dts) * packet.time_base
