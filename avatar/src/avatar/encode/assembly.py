"""Joins segments and sound into one MP4 without encoding a picture again, and writes captions.

Called by pipeline.assemble.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from avatar.compose.cues import Cue
from avatar.encode.atomic import atomic_file
from avatar.encode.sound import SceneSound, apply_gain, measure, read_sound
from avatar.errors import InvalidInput
from avatar.media_files import open_media
from avatar.spec import AudioCodec

MAX_LEVEL_ROUNDS = 3
LEVEL_TOLERANCE_LU = 0.3

Packet: TypeAlias = "av.Packet[VideoStream] | av.Packet[AudioStream]"


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
    """Write `target`: the segments' packets in a row, the levelled sound as AAC, the index in front
    (faststart).

    `check` is called for every packet and may raise to stop the work. Raises `InvalidInput`
    (`render.segments_differ`) for segments encoded with other parameters than the first, and `Unavailable`
    when the file cannot be written.
    """
    gain_db = _gain(sounds, fps, codec)
    # bitexact leaves out the muxer's own name and the date: the same spec gives the same bytes.
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with atomic_file(target) as part, av.open(str(part), "w", format="mp4", options=options) as container:
        container.metadata.update(metadata)
        video = _video_stream(container, segments[0])
        audio = container.add_stream("aac", rate=codec.sample_rate_hz, layout="stereo")
        audio.bit_rate = codec.bitrate_kbps * 1000
        pictures = _pictures(segments, video, fps)
        sound = _encoded(apply_gain(read_sound(sounds, fps, codec.sample_rate_hz), gain_db, codec), audio)
        for packet in merge(pictures, sound, key=_seconds):
            check()
            container.mux(packet)


def _gain(sounds: Sequence[SceneSound], fps: int, codec: AudioCodec) -> float:
    """Decibels that bring the video to its loudness; what the limiter takes is measured and made up for."""
    rate = codec.sample_rate_hz
    loudness = measure(read_sound(sounds, fps, rate), rate)
    if loudness.integrated_lufs is None:
        return 0.0
    gain = codec.loudness_lufs - loudness.integrated_lufs
    if loudness.true_peak_dbtp + gain <= codec.true_peak_dbtp:
        return gain
    for _ in range(MAX_LEVEL_ROUNDS):
        limited = measure(apply_gain(read_sound(sounds, fps, rate), gain, codec), rate, channels=2)
        miss = codec.loudness_lufs - (limited.integrated_lufs or codec.loudness_lufs)
        gain += miss
        if abs(miss) <= LEVEL_TOLERANCE_LU:
            break
    return gain


def _video_stream(container: OutputContainer, like: Path) -> VideoStream:
    with open_media(like) as first:
        return container.add_stream_from_template(first.streams.video[0])


def _pictures(segments: Iterable[Path], stream: VideoStream, fps: int) -> Iterator[Packet]:
    """Packets of all segments with times counted in frames from the start of the video.

    Decode times run on without a gap: all segments have one header, and so one reordering delay."""
    first_frame = 0
    delay: int | None = None
    header: bytes | None = None
    for path in segments:
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
            for packet in container.demux(source):
                if packet.dts is None or packet.pts is None:
                    continue  # the empty packet at the end
                if delay is None:
                    delay = _frames(-packet.dts, packet, fps)
                packet.pts = first_frame + _frames(packet.pts, packet, fps)
                packet.dts = first_frame + count - delay
                packet.duration = 1
                packet.time_base = Fraction(1, fps)
                packet.stream = stream
                count += 1
                yield packet
        first_frame += count


def _encoded(blocks: Iterable[av.AudioFrame], stream: AudioStream) -> Iterator[Packet]:
    for block in blocks:
        yield from stream.encode(block)
    yield from stream.encode(None)


def _frames(ticks: int, packet: Packet, fps: int) -> int:
    return round(ticks * packet.time_base * fps)


def _seconds(packet: Packet) -> Fraction:
    return (packet.dts or 0) * packet.time_base


def to_vtt(cues: Iterable[Cue]) -> str:
    """WebVTT (W3C). `&`, `<` and `>` are escaped, so a cue can hold neither a tag nor an arrow."""
    blocks = [
        f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n"
        + "\n".join(map(_escape_vtt, cue.lines))
        for cue in cues
    ]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def to_srt(cues: Iterable[Cue]) -> str:
    """SubRip. Players read angle brackets as tags and know no escapes, so look-alikes take their place."""
    blocks = [
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n"
        + "\n".join(map(_plain_srt, cue.lines))
        for number, cue in enumerate(cues, start=1)
    ]
    return "\n\n".join(blocks) + "\n"


def _clock(ms: int, mark: str) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{ms:03}"


def _escape_vtt(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain_srt(line: str) -> str:
    return line.replace("<", "‹").replace(">", "›")
