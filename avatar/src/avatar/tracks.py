"""The joints between stages inside the worker: what speech gives timing, and what timing gives an engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float32]
MAX_RANGES = 400
Range = tuple[int, int]
"""The first and the last frame."""


@dataclass(frozen=True, slots=True)
class Word:
    """A spoken word as people wrote it. Times in milliseconds from the start of the scene's sound."""

    text: str
    start_ms: int
    end_ms: int
    emphasis: bool = False


@dataclass(frozen=True, slots=True)
class Phone:
    """One phoneme in IPA (espeak-ng or aligner symbols already mapped); "" is silence."""

    ipa: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class SpeechNote:
    """Something the engine could not honour; becomes a warning of the render, never dropped silently."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """A turn of one of several speakers: the words first_word..last_word-1, from `start_ms` to `end_ms`."""

    speaker: str
    first_word: int
    last_word: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class SpeechTrack:
    """The voice of one scene. Its samples stay on disk (16-bit mono WAV): memory does not grow with time."""

    wav: Path
    sample_rate_hz: int
    duration_ms: int
    words: tuple[Word, ...]
    phones: tuple[Phone, ...]
    notes: tuple[SpeechNote, ...] = ()
    phone_source: str = "engine"
    """Where phone times come from: engine | aligned | recognised | energy."""
    turns: tuple[SpokenTurn, ...] = ()
    """Who says what; empty where one speaker says all."""

    @property
    def speaker_changes(self) -> tuple[int, ...]:
        """Returns the numbers of the words with which another speaker begins."""
        return tuple(after.first_word for one, after in pairwise(self.turns) if one.speaker != after.speaker)


@dataclass(frozen=True, slots=True)
class GestureCue:
    """A gesture of one arm or both, of the picture's left or right. Its pose is reached at `stroke_s` and
    left at `release_s`, seconds from the scene's start. size: of its full reach, about 1.
    """

    name: str
    side: Literal["left", "right", "both"]
    stroke_s: float
    release_s: float
    size: float = 1.0


MOOD_CHANNELS = ("smile", "lid", "brow_tilt")
MOUTH_CHANNELS = ("jaw", "low", "raise", "press", "tuck", "wide", "tongue", "skew")
CHANNELS = (
    *MOUTH_CHANNELS,
    "blink",
    "gaze_x",
    "gaze_y",
    "brow",
    "yaw_deg",
    "pitch_deg",
    "roll_deg",
    "sway",
    "breath",
    "energy",
    *MOOD_CHANNELS,
)
"""Curves of a ControlTrack, one float per frame.

jaw, low, raise  0..1    jaw drop, lower-lip drop, upper-lip raise; they open the mouth (see `aperture_e`)
press            0..1    how far the lips shut by themselves what those have opened: 1 = they touch
tuck             0..1    lower lip under the upper teeth (f, v)
wide            -1..1    +1 spread (ee), -1 rounded (oo)
tongue           0..1    tongue tip up (l, t, d, n) or between the teeth (th)
skew            -1..1    + = the side of the mouth on the picture's right opens further
blink            0..1    1 = lids closed
gaze_x, gaze_y  -1..1    1 = looking to the picture's right / down by 0.35 iris radius
brow            -1..1    1 = raised
yaw_deg, pitch_deg, roll_deg   degrees: + = head turns to the picture's right, looks down, tilts clockwise
sway            -1..1    sideways weight shift of head and body
breath           0..1    chest rise
energy           0..1    loudness envelope of the speech
smile           -1..1    corners of the mouth: 1 = up
lid             -1..1    upper lids at rest: 1 = wide open, -1 = half shut
brow_tilt       -1..1    inner ends of the brows: 1 = up (sad), -1 = down (stern)
"""


JAW_E, LOW_E, RAISE_E = 0.20, 0.14, 0.055
"""How far each channel parts the lips at 1, in E."""


class Motion(Protocol):
    """The motion of a face, read frame by frame in order: a `ControlTrack`, or one that has no end."""

    @property
    def fps(self) -> int: ...

    @property
    def frames(self) -> int: ...

    @property
    def gestures(self) -> tuple[GestureCue, ...]: ...

    def at(self, index: int) -> dict[str, float]: ...


@dataclass(frozen=True, slots=True)
class ControlTrack:
    """The motion of the face, frame by frame. Every curve is float32 of shape (frames,)."""

    fps: int
    curves: dict[str, Curve] = field(repr=False)
    gestures: tuple[GestureCue, ...] = ()

    def __post_init__(self) -> None:
        for name in MOOD_CHANNELS:
            # At rest where nobody acts: in recordings of a driver, and in tracks of one frame.
            self.curves.setdefault(name, np.zeros(self.frames, np.float32))
        missing = set(CHANNELS) - set(self.curves)
        if missing:
            raise ValueError(f"control track lacks {sorted(missing)}")
        if len({len(curve) for curve in self.curves.values()}) != 1:
            raise ValueError("all curves of a control track have one length")

    @property
    def frames(self) -> int:
        return len(self.curves["jaw"])

    def __getitem__(self, channel: str) -> Curve:
        return self.curves[channel]

    def aperture_e(self) -> Curve:
        """Returns the intended opening between the inner lips in each frame, in E, (frames,)."""
        return aperture_e(self["jaw"], self["low"], self["raise"], self["press"])

    def at(self, index: int) -> dict[str, float]:
        """All channels of one frame."""
        return {name: float(self.curves[name][index]) for name in CHANNELS}


def aperture_e(jaw: Curve, low: Curve, raise_: Curve, press: Curve | float = 0.0) -> Curve:
    """Intended opening between the inner lips, in E (distance of the outer eye corners, about 90 mm).

    Both engines must show this opening; the tests track rendered frames and compare.
    """
    return np.asarray((JAW_E * jaw + LOW_E * low + RAISE_E * raise_) * (1 - press), dtype=np.float32)


def nearest_joined(ranges: Iterable[Range], maximum: int = MAX_RANGES) -> list[Range]:
    """The same ranges, which are in order and apart; of more than `maximum`, those that are nearest to each
    other are told as one: half an hour would fill a result with thousands.
    """
    items = list(ranges)
    if len(items) <= maximum:
        return items
    gaps = [after[0] - before[1] for before, after in pairwise(items)]
    widest = sorted(sorted(range(len(gaps)), key=gaps.__getitem__)[len(items) - maximum :])
    begins = [0, *(place + 1 for place in widest)]
    ends = [*widest, len(items) - 1]
    return [(items[begin][0], items[end][1]) for begin, end in zip(begins, ends, strict=True)]
