"""Samples the feeling of an answer over its time, from sentences and voice; used by live sessions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from avatar.spec.speech_sheet import SpeechSheet

from agent.live.feelings import Feeling
from agent.live.schemas import EmotionSample

CURVE_HZ = 10
"""Samples per second of sound."""
QUIET_SHARE = 0.6
"""The share of an intensity where the voice is silent."""


def emotion_curve(feelings: Sequence[Feeling], sheet: SpeechSheet) -> list[EmotionSample]:
    """Returns `CURVE_HZ` samples per second, the first at the start and one at the very end of the sound.

    `time` is the share of the duration, 0 to 1: multiply it by `duration` for milliseconds. The intensity is
    that of the sentence, carried by the loudness of the voice.
    """
    steps = max(1, round(sheet.duration_ms * CURVE_HZ / 1000))
    ends_ms = sentence_ends(feelings, sheet)
    curve = []
    place = 0
    for step in range(steps + 1):
        at_ms = sheet.duration_ms * step / steps
        while place < len(feelings) - 1 and at_ms >= ends_ms[place]:
            place += 1
        loudness = QUIET_SHARE + (1 - QUIET_SHARE) * _level(sheet, at_ms)
        feeling = feelings[place]
        curve.append(
            EmotionSample(
                time=round(step / steps, 4),
                emotion=feeling.emotion,
                intensity=round(feeling.intensity * loudness, 3),
            )
        )
    return curve


def sentence_ends(feelings: Sequence[Feeling], sheet: SpeechSheet) -> list[float]:
    """Returns when each sentence ends, in milliseconds.

    The voice's words are the text's, but numbers and marks may be counted otherwise: sentences meet them by
    the share of the characters that lies before them.
    """
    total = sum(len(feeling.text) for feeling in feelings) or 1
    ends = [done / total for done in accumulate(len(feeling.text) for feeling in feelings)]
    total_chars = sum(len(word.text) for word in sheet.words)
    if not total_chars:
        return [share * sheet.duration_ms for share in ends]
    word_ends = [done / total_chars for done in accumulate(len(word.text) for word in sheet.words)]
    # The word whose middle is nearest to the end of the sentence is its last one.
    words = [min(range(len(word_ends)), key=lambda place: abs(word_ends[place] - share)) for share in ends]
    return [float(sheet.words[place].end_ms) for place in words]


def _level(sheet: SpeechSheet, at_ms: float) -> float:
    """Returns the loudness around this moment, over a fifth of a second."""
    if not sheet.level:
        return 1.0
    middle = int(at_ms * sheet.level_hz / 1000)
    around = sheet.level[max(0, middle - 2) : middle + 3] or sheet.level[-1:]
    return sum(around) / len(around)
