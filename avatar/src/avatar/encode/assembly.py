"""Joins segments and sound into one MP4, with the least encoding again that its transitions allow.

Called by pipeline.assemble.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from avatar.compose.cues import Cue
from avatar.encode.atomic import atomic_file
from avatar.encode.joints import Fades, JointEncoder, Reel, film_frames, packets_of
from avatar.encode.music import MusicBed, MusicTrack, read_music, speech_steps
from avatar.encode.sound import SceneSound, apply_gain, measure, mono_samples, read_sound, samples_of
from avatar.encode.subtitles import add_subtitles, iso_639_2, subtitle_packets
from avatar.media_files import open_media
from avatar.spec import AudioCodec, Canvas, Music, VideoCodec

MAX_LEVEL_ROUNDS = 3
LEVEL_TOLERANCE_LU = 0.3

Packet: TypeAlias = "av.Packet[VideoStream] | av.Packet[AudioStream] | av.Packet[SubtitleStream]"


@dataclass(frozen=True, slots=True)
class Film:
    """All that a finished video is joined from. `sounds` holds the sound of each reel."""

    reels: Sequence[Reel]
    sounds: Sequence[Path]
    canvas: Canvas
    video: VideoCodec
    audio: AudioCodec
    metadata: dict[str, str]
    language: str = "und"
    cues: Sequence[Cue] | None = None
    """For the embedded track; None for none."""
    fades: Fades = field(default_factory=Fades)
    music: tuple[Music, Path] | None = None

    @property
    def scene_sounds(self) -> list[SceneSound]:
        return [
            SceneSound(wav, reel.frames, reel.overlap)
            for wav, reel in zip(self.sounds, self.reels, strict=True)
        ]


def join(target: Path, film: Film, work: Path, check: Callable[[], None] = lambda: None) -> int:
    """Write `target`: the segments' packets in a row, the levelled sound as AAC, captions, the index in front
    (faststart). Returns how many frames were encoded a second time.

    `work` is a folder for files in between; `check` is called for every packet and may raise to stop the
    work. Raises `InvalidInput` (`render.segments_differ`) for segments encoded with other parameters than the
    first, and `Unavailable` when the file cannot be written.
    """
    mixer = _Mixer(film, work)
    joints = JointEncoder(film.reels, film.fades, film.canvas, film.video, work)
    # bitexact leaves out the muxer's own name and the date: the same spec gives the same bytes.
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with atomic_file(target) as part, av.open(str(part), "w", format="mp4", options=options) as container:
        container.metadata.update(film.metadata)
        language = iso_639_2(film.language)
        video = _video_stream(container, film.reels[0].video)
        audio = container.add_stream("aac", rate=film.audio.sample_rate_hz, layout="stereo")
        audio.bit_rate = film.audio.bitrate_kbps * 1000
        subtitles = add_subtitles(container, language) if film.cues is not None else None
        for stream in (video, audio):
            stream.metadata["language"] = language
        rows: list[Iterator[Packet]] = [
            packets_of(joints.clips(check), video, film.canvas),
            _encoded(mixer.level(), audio),
        ]
        if subtitles is not None:
            rows.append(subtitle_packets(film.cues or (), subtitles))
        for packet in merge(*rows, key=seconds_of):
            check()
            container.mux(packet)
    return joints.encoded_frames


class _Mixer:
    """The sound of a film, levelled; voice alone is mono until the end, with music it is stereo."""

    def __init__(self, film: Film, work: Path) -> None:
        self._sounds = film.scene_sounds
        self._rate = film.canvas.rate
        self._codec = film.audio
        self._fades = film.fades
        self._length = samples_of(film_frames(film.reels), self._rate, film.audio.sample_rate_hz)
        self._bed: MusicBed | None = None
        if film.music is not None:
            form, path = film.music
            hz = film.audio.sample_rate_hz
            track: MusicTrack = read_music(path, form.audio.name or path.name, hz, work)
            voice = measure(self._voice(), hz).integrated_lufs
            speaking = speech_steps(map(mono_samples, self._voice()), hz)
            self._bed = MusicBed(form, track, speaking, self._length, hz, voice)
        self._channels = 1 if self._bed is None else 2

    def level(self) -> Iterator[av.AudioFrame]:
        """Stereo blocks at the loudness of the codec."""
        return apply_gain(self._mixed(), self._gain(), self._codec, self._channels)

    def _voice(self) -> Iterator[av.AudioFrame]:
        return read_sound(self._sounds, self._rate, self._codec.sample_rate_hz)

    def _mixed(self) -> Iterator[av.AudioFrame]:
        blocks = self._voice() if self._bed is None else self._bed.under(map(mono_samples, self._voice()))
        if self._fades == Fades():
            return blocks
        return self._faded(blocks)

    def _faded(self, blocks: Iterable[av.AudioFrame]) -> Iterator[av.AudioFrame]:
        first, last = (
            max(1, samples_of(frames, self._rate, self._codec.sample_rate_hz))
            for frames in (self._fades.first, self._fades.last)
        )
        for block in blocks:
            samples = block.to_ndarray()
            at = np.arange(block.pts or 0, (block.pts or 0) + block.samples)
            level = np.clip(np.minimum((at + 1) / first, (self._length - at) / last), 0, 1)
            faded = av.AudioFrame.from_ndarray(
                np.ascontiguousarray((samples * level).astype(np.float32)),
                format=block.format.name,
                layout=block.layout.name,
            )
            faded.sample_rate, faded.pts, faded.time_base = block.sample_rate, block.pts, block.time_base
            yield faded

    def _gain(self) -> float:
        """Decibels that bring the film to its loudness; what the limiter takes is made up for."""
        codec = self._codec
        loudness = measure(self._mixed(), codec.sample_rate_hz, self._channels)
        if loudness.integrated_lufs is None:
            return 0.0
        gain = codec.loudness_lufs - loudness.integrated_lufs
        if loudness.true_peak_dbtp + gain <= codec.true_peak_dbtp:
            return gain
        for _ in range(MAX_LEVEL_ROUNDS):
            limited = measure(
                apply_gain(self._mixed(), gain, codec, self._channels), codec.sample_rate_hz, channels=2
            )
            miss = codec.loudness_lufs - (limited.integrated_lufs or codec.loudness_lufs)
            gain += miss
            if abs(miss) <= LEVEL_TOLERANCE_LU:
                break
        return gain


def _video_stream(container: OutputContainer, like: Path) -> VideoStream:
    with open_media(like) as first:
        return container.add_stream_from_template(first.streams.video[0])


def _encoded(blocks: Iterable[av.AudioFrame], stream: AudioStream) -> Iterator[Packet]:
    for block in blocks:
        yield from stream.encode(block)
    yield from stream.encode(None)


def seconds_of(packet: Packet) -> Fraction:
    return (packet.dts or 0) * packet.time_base
