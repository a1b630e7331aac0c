"""The motion of a face that answers live: sentences come while it is seen; `avatar.pipeline.live` draws it.

Between sentences it breathes, blinks and looks, listens or thinks. `STATES` and `MOOD_OF_EMOTION` are those
of the face in the browser, too, which reads them from `ui/src/face/motion.json`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from avatar.spec.acting import Mood
from avatar.spec.live import FaceState
from avatar.timing.gestures import RAISE_S
from avatar.timing.noise import glide
from avatar.tracks import CHANNELS, MOUTH_CHANNELS, ControlTrack, GestureCue

STATES: dict[FaceState, dict[str, float]] = {
    "idle": {},
    "listening": {"pitch_deg": 0.8, "roll_deg": 1.6, "brow": 0.12, "lid": 0.08, "smile": 0.12},
    "thinking": {
        "pitch_deg": -1.6,
        "yaw_deg": -3.2,
        "roll_deg": -1.4,
        "brow": 0.1,
        "brow_tilt": -0.12,
        "gaze_x": -0.4,
        "gaze_y": -0.45,
    },
    "speaking": {},
}
"""Offsets: a head that listens leans in, one that thinks looks up and aside."""
MOOD_OF_EMOTION: dict[str, Mood] = {
    "happy": "warm",
    "confident": "warm",
    "playful": "excited",
    "surprised": "surprised",
    "sad": "sad",
    "concerned": "sad",
    "angry": "serious",
    "focused": "serious",
}
MOUTH_S = 0.1
"""From one motion of the mouth into the next; so it closes within 100 ms of an interruption."""
HEAD_S = 0.4
STATE_S = 0.5
_LIMITED = {"brow", "smile", "lid", "brow_tilt", "gaze_x", "gaze_y"}


@dataclass(frozen=True, slots=True)
class _Sentence:
    """Motion from `start` on, in frames of the live clock."""

    track: ControlTrack
    start: float

    @property
    def end(self) -> float:
        return self.start + self.track.frames


class LiveMotion:
    """A `Motion` without end. `idle` is what the face does while nothing is said, over and over.

    Times are seconds since frame 0. Frames are read once each, in order; everything may be called between
    two of them.
    """

    frames = sys.maxsize

    def __init__(self, idle: ControlTrack) -> None:
        self.fps = idle.fps
        self.gestures: tuple[GestureCue, ...] = ()
        """In seconds since frame 0; a new tuple whenever they change."""
        self._idle = idle
        self._sentences: list[_Sentence] = []
        self._shown = dict.fromkeys(CHANNELS, 0.0)
        self._from = self._shown
        self._source: _Sentence | None = None
        self._changed = -math.inf
        self._state: FaceState = "idle"
        self._offsets: dict[str, float] = {}

    def say(self, track: ControlTrack, start_s: float) -> None:
        """Adds a sentence that begins to sound at `start_s`; one that sounds then is over."""
        start = start_s * self.fps
        self._sentences = [one for one in self._sentences if one.end > start - self.fps][-1:]
        self._sentences.append(_Sentence(track, start))
        own = (_moved(cue, start_s) for cue in track.gestures)
        before = (_ended(cue, start_s) for cue in self.gestures if cue.release_s > start_s - 5)
        self.gestures = (*(cue for cue in before if cue is not None), *own)

    def hush(self, now_s: float) -> None:
        """Ends what is said: the mouth closes within `MOUTH_S`, and a raised arm comes down."""
        self._sentences = []
        ended = (_ended(cue, now_s) for cue in self.gestures)
        self.gestures = tuple(cue for cue in ended if cue is not None)

    def show(self, state: FaceState) -> None:
        """Turns to a state within about `STATE_S`."""
        self._state = state

    def is_speaking(self, index: int) -> bool:
        """Returns whether a sentence sounds, or a gesture is still to be seen, in a frame."""
        moving = any(cue.release_s + 1 > index / self.fps for cue in self.gestures)
        return moving or self._sentence_at(index) is not None or index - self._changed < HEAD_S * self.fps

    def at(self, index: int) -> dict[str, float]:
        """Returns the channels of a frame."""
        sentence = self._sentence_at(index)
        if sentence is not self._source:
            self._source, self._changed, self._from = sentence, index, self._shown
        if sentence is None:
            channels = self._idle.at(index % self._idle.frames)
        else:
            channels = _between(sentence.track, index - sentence.start)
        elapsed_s = (index - self._changed + 1) / self.fps
        mouth, head = glide(elapsed_s / np.array([MOUTH_S, HEAD_S])).tolist()
        for name in CHANNELS:
            share = mouth if name in MOUTH_CHANNELS else head
            channels[name] = self._from[name] + share * (channels[name] - self._from[name])
        self._shown = dict(channels)
        self._lean(channels, {} if sentence is not None else STATES[self._state])
        return channels

    def _sentence_at(self, index: int) -> _Sentence | None:
        """Returns the latest sentence that has begun and not ended."""
        begun = [one for one in self._sentences if one.start <= index < one.end]
        return begun[-1] if begun else None

    def _lean(self, channels: dict[str, float], towards: Mapping[str, float]) -> None:
        """Adds the offsets of a state, each on its way."""
        step = min(1.0, 1 / (STATE_S * self.fps))
        for name in {*self._offsets, *towards}:
            before = self._offsets.get(name, 0.0)
            now = before + step * (towards.get(name, 0.0) - before)
            self._offsets[name] = now
            channels[name] += now
            if name in _LIMITED:
                channels[name] = min(1.0, max(-1.0, channels[name]))


def _between(track: ControlTrack, place: float) -> dict[str, float]:
    """Returns the channels between two frames of a track."""
    first = min(int(place), track.frames - 1)
    share = place - first
    here = track.at(first)
    if share <= 0 or first + 1 >= track.frames:
        return here
    after = track.at(first + 1)
    return {name: value + share * (after[name] - value) for name, value in here.items()}


def _moved(cue: GestureCue, by_s: float) -> GestureCue:
    return replace(cue, stroke_s=cue.stroke_s + by_s, release_s=cue.release_s + by_s)


def _ended(cue: GestureCue, at_s: float) -> GestureCue | None:
    """Returns a gesture that is released at `at_s` at the latest; None for one that has not begun. An arm
    that is on its way up arrives first: arms never jump.
    """
    if cue.stroke_s - RAISE_S >= at_s:
        return None
    return replace(cue, release_s=max(cue.stroke_s, min(cue.release_s, at_s)))
