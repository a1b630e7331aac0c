"""Moods as numbers: what each moves in brows, lids, mouth, head. Used by `control_track`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from avatar.spec.acting import Mood, mood_changes
from avatar.timing.acting import ActingMark
from avatar.timing.noise import Array, steps
from avatar.tracks import Word

CHANGE_S = 0.7
"""A face takes that long from one mood to the next."""


@dataclass(frozen=True, slots=True)
class Expression:
    """Offsets of channels (`avatar.tracks.CHANNELS`), and factors of the head's motion and of gestures."""

    smile: float = 0.0
    lid: float = 0.0
    brow: float = 0.0
    brow_tilt: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    lively: float = 1.0
    nods: float = 1.0


EXPRESSIONS: dict[Mood, Expression] = {
    "neutral": Expression(),
    "warm": Expression(smile=0.62, lid=-0.06, brow=0.14, brow_tilt=0.16, roll_deg=1.3, lively=1.0),
    "serious": Expression(
        smile=-0.30, lid=-0.16, brow=-0.42, brow_tilt=-0.55, pitch_deg=1.2, lively=0.6, nods=1.1
    ),
    "excited": Expression(
        smile=0.85, lid=0.42, brow=0.50, brow_tilt=0.05, pitch_deg=-1.4, lively=1.5, nods=1.4
    ),
    "sad": Expression(
        smile=-0.60,
        lid=-0.34,
        brow=-0.05,
        brow_tilt=0.95,
        pitch_deg=3.2,
        roll_deg=-1.6,
        lively=0.55,
        nods=0.6,
    ),
    "surprised": Expression(smile=0.08, lid=0.95, brow=0.98, brow_tilt=0.22, pitch_deg=-2.2, lively=1.1),
}
_NAMES = tuple(field.name for field in fields(Expression))


def expression_curves(
    times: Array, words: Sequence[Word], mood: Mood, marks: Sequence[ActingMark]
) -> dict[str, Array]:
    """Returns each field of `Expression` over `times` (n,).

    `mood` holds for the scene; a mark for what is left of its sentence or, before a sentence, until the
    next mark.
    """
    moments: list[float] = []
    moods: list[Mood] = []
    for at, name in _changes(words, mood, marks):
        moments.append(at - CHANGE_S / 2)
        moods.append(name)
    if moods and len(times) and moods[-1] != mood:
        # Marks are over at the end: the next scene begins with a mood of its own.
        moments.append(max(float(times[-1]) - CHANGE_S, moments[-1] + 0.1))
        moods.append(mood)
    start = np.array([getattr(EXPRESSIONS[mood], name) for name in _NAMES])
    table = np.array([[getattr(EXPRESSIONS[one], name) for name in _NAMES] for one in moods])
    return {
        name: steps(times, np.array(moments), table[:, k] if len(table) else np.array([]), CHANGE_S, start[k])
        for k, name in enumerate(_NAMES)
    }


def _changes(words: Sequence[Word], mood: Mood, marks: Sequence[ActingMark]) -> list[tuple[float, Mood]]:
    """Moments in seconds, with the mood that begins there."""
    moods = [(mark.word, mark.value) for mark in marks if mark.kind == "mood"]
    changes = mood_changes([word.text for word in words], mood, moods)
    return [(words[index].start_ms / 1000, name) for index, name in changes]
