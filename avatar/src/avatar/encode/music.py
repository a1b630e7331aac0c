"""The sound of a film with its music bed: voice in the middle, music on both sides, lower while people speak.

Called by encode.assembly. The music is decoded once into a file beside the film; memory stays flat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from avatar.encode.sound import Samples, measure, stamp_frame
from avatar.errors import InvalidInput
from avatar.media_files import decodable
from avatar.named_media import open_readable, until_damage
from avatar.spec import Music

STEP_MS = 10
SPEECH_BELOW_LOUD_DB = 26.0
"""What is so much quieter than the loud parts of the voice is no speech."""
QUIETEST_SPEECH = 10 ** (-55 / 20)
HOLD_MS, EARLY_MS = 700, 300
"""Music stays down over pauses this short, and is down when a word begins."""
FALL_MS, RISE_MS = 350, 900
SEAM_MS = 1500
"""A bed that begins again does so under its own end."""
SHORTEST_SEAM = 4
"""A file shorter than so many seams is repeated without."""
BLOCK = 4096
NO_VOICE_LUFS = -20.0

Bed = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class MusicTrack:
    """A decoded file: int16 (samples, 2), and its loudness."""

    samples: Bed
    lufs: float | None


def read_music(path: Path, name: str, rate_hz: int, work: Path) -> MusicTrack:
    """Decode a file to stereo. Raises InvalidInput `music.unreadable`."""
    raw = work / "music.s16"
    with raw.open("wb") as target:
        for frame in _decoded(path, name, rate_hz):
            target.write(np.ascontiguousarray(frame.to_ndarray()).tobytes())
    if raw.stat().st_size == 0:
        raise InvalidInput("music.unreadable", f"{name} holds no sound.", "Use another file as music.")
    samples = np.memmap(raw, dtype="<i2", mode="r").reshape(-1, 2)
    lufs = measure(_frames(_blocks(samples), rate_hz), rate_hz, channels=2).integrated_lufs
    return MusicTrack(samples, lufs)


class MusicBed:
    """A track under a film of `length` samples; `speaking` says where people speak, every 10 ms."""

    def __init__(
        self,
        form: Music,
        track: MusicTrack,
        speaking: npt.NDArray[np.bool_],
        length: int,
        rate_hz: int,
        voice_lufs: float | None,
    ) -> None:
        self._form = form
        first = min(_samples(form.from_ms, rate_hz), max(0, len(track.samples) - 1))
        self._bed = track.samples[first:]
        self._rate = rate_hz
        seam = _samples(SEAM_MS, rate_hz)
        self._seam = seam if len(self._bed) > SHORTEST_SEAM * seam else 0
        self.length = length if form.loop else min(length, len(self._bed))
        """Samples until it ends."""
        loud = NO_VOICE_LUFS if voice_lufs is None else voice_lufs
        level_db = 0.0 if voice_lufs is None else form.level_db
        self._level = 0.0 if track.lufs is None else 10 ** ((loud + level_db - track.lufs) / 20)
        self._duck = duck_curve(speaking, form.duck_db)

    def under(self, blocks: Iterable[Samples]) -> Iterator[av.AudioFrame]:
        """Stereo blocks of the voice with the music under it."""
        position = 0
        for block in blocks:
            both = np.repeat(block[None, :], 2, axis=0)
            both += self._music(position, len(block)) * self._gain(position, len(block))
            yield _stereo(both, position, self._rate)
            position += len(block)

    def _music(self, position: int, count: int) -> npt.NDArray[np.float32]:
        at = np.arange(position, position + count)
        total = len(self._bed)
        if not self._form.loop:
            audible = np.asarray(self._bed[np.minimum(at, total - 1)].T, np.float32) / np.float32(32768)
            audible[:, at >= total] = 0
            return audible
        period = total - self._seam
        turn, place = at // period, at % period
        audible = np.asarray(self._bed[place].T.astype(np.float32) / 32768, np.float32)
        if self._seam:
            crossing = (place < self._seam) & (turn > 0)
            if crossing.any():
                into = place[crossing] / self._seam
                ending = self._bed[place[crossing] + period].T.astype(np.float32) / 32768
                audible[:, crossing] = audible[:, crossing] * np.sqrt(into) + ending * np.sqrt(1 - into)
        return audible

    def _gain(self, position: int, count: int) -> Samples:
        at = np.arange(position, position + count, dtype=np.float64)
        steps = at * 1000 / self._rate / STEP_MS
        gain = self._level * np.interp(steps, np.arange(len(self._duck)), self._duck)
        fade_in, fade_out = (
            max(1, min(_samples(ms, self._rate), self.length // 2))
            for ms in (self._form.fade_in_ms, self._form.fade_out_ms)
        )
        faded = np.clip(np.minimum((at + 1) / fade_in, (self.length - at) / fade_out), 0, 1)
        return np.asarray(gain * np.sin(faded * np.pi / 2) ** 2, dtype=np.float32)


def speech_steps(blocks: Iterable[Samples], rate_hz: int) -> npt.NDArray[np.bool_]:
    """Returns whether somebody speaks, for each 10 ms of the voice: short pauses count as speech."""
    step = rate_hz * STEP_MS // 1000
    levels: list[Samples] = []
    rest = np.zeros(0, np.float32)
    for block in blocks:
        whole = np.concatenate([rest, block])
        count = len(whole) // step
        levels.append(np.sqrt(np.mean(whole[: count * step].reshape(count, step) ** 2, axis=1)))
        rest = whole[count * step :]
    rms = np.concatenate([np.zeros(0, np.float32), *levels])
    if not len(rms):
        return np.zeros(1, np.bool_)
    audible = rms[rms > QUIETEST_SPEECH]
    if not len(audible):
        return np.zeros(len(rms), np.bool_)
    floor = max(QUIETEST_SPEECH, float(np.percentile(audible, 90)) * 10 ** (-SPEECH_BELOW_LOUD_DB / 20))
    speaking = np.asarray(rms > floor, np.bool_)
    edges = np.flatnonzero(speaking)
    for before, after in pairwise(edges):
        if after - before <= HOLD_MS // STEP_MS:
            speaking[before:after] = True
    early = EARLY_MS // STEP_MS
    starts = np.flatnonzero(speaking & ~np.concatenate([[False], speaking[:-1]]))
    for start in starts:
        speaking[max(0, start - early) : start] = True
    return speaking


def duck_curve(speaking: npt.NDArray[np.bool_], duck_db: float) -> npt.NDArray[np.float64]:
    """Gain of the music for each 10 ms: it falls and rises in decibels, the fall quicker."""
    fall, rise = duck_db * STEP_MS / FALL_MS, -duck_db * STEP_MS / RISE_MS
    level, levels = 0.0, []
    for spoken in speaking:
        level = max(duck_db, level + fall) if spoken else min(0.0, level + rise)
        levels.append(level)
    return np.asarray(10 ** (np.array(levels) / 20), dtype=np.float64)


def _decoded(path: Path, name: str, rate_hz: int) -> Iterator[av.AudioFrame]:
    error = InvalidInput(
        "music.unreadable", f"{name} is not sound that can be read.", "WAV, MP3, FLAC, OGG and M4A work."
    )
    with open_readable(path, error) as container:
        if not container.streams.audio or not decodable(container.streams.audio[0]):
            raise error
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=rate_hz)
        for frame in until_damage(container.decode(container.streams.audio[0])):
            yield from resampler.resample(frame)
        yield from resampler.resample(None)


def _blocks(samples: Bed) -> Iterator[npt.NDArray[np.float32]]:
    for begin in range(0, len(samples), BLOCK):
        yield np.ascontiguousarray(samples[begin : begin + BLOCK].T.astype(np.float32) / 32768)


def _frames(blocks: Iterable[npt.NDArray[np.float32]], rate_hz: int) -> Iterator[av.AudioFrame]:
    position = 0
    for block in blocks:
        yield _stereo(block, position, rate_hz)
        position += block.shape[1]


def _stereo(samples: npt.NDArray[np.float32], position: int, rate_hz: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
    return stamp_frame(frame, position, rate_hz)


def _samples(ms: float, rate_hz: int) -> int:
    return round(ms * rate_hz / 1000)
