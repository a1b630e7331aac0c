"""Marks, mood and overlays of a scene, by word and time; `control_track` moves the body by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from avatar.spec.acting import Mood


@dataclass(frozen=True, slots=True)
class ActingMark:
    """A mark of the script before the word with the number `word`."""

    word: int
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class OverlaySide:
    """An overlay that comes to stand at the picture's left or right."""

    at_s: float
    side: Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Acting:
    """The scene's own mood, the marks of its script, and its overlays."""

    mood: Mood = "neutral"
    marks: tuple[ActingMark, ...] = ()
    overlays: tuple[OverlaySide, ...] = ()
