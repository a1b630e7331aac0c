"""Which feeling a text is said with: a small lexicon, sentence by sentence; used by live sessions.

The names are those that avatar pages know. It is a rule of thumb that says why: words and marks score, a
negation before a word takes its score away, an intensifier adds to it, and the highest score wins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Emotion = Literal[
    "neutral", "happy", "sad", "angry", "surprised", "curious", "focused", "playful", "concerned", "confident"
]
EMOTIONS: tuple[Emotion, ...] = get_args(Emotion)

CALM = 0.3
"""Intensity of a sentence without any feeling in it."""
STEP = 0.25
"""How much one word adds to the intensity."""

_LEXICON: tuple[tuple[Emotion, str], ...] = (
    (
        "happy",
        "happy glad great wonderful lovely love good nice thanks thank welcome enjoy done ready finished "
        "congratulations perfect excellent pleased delighted fantastic",
    ),
    ("sad", "sad sorry unfortunately regret lost gone miss lonely pity died mourn"),
    ("angry", "angry furious outrageous hate unacceptable enough rage refuse"),
    ("surprised", "wow oh surprising surprised suddenly unexpected unbelievable incredible amazing"),
    ("curious", "curious wonder wondering interesting perhaps maybe guess"),
    (
        "focused",
        "working making starting running counting looking checking first next then step plan waits waiting "
        "queue progress",
    ),
    ("playful", "haha hehe fun funny joke silly play game wink"),
    (
        "concerned",
        "failed fails error wrong problem broken careful warning danger worried concern cannot missing "
        "denied forbidden stopped trouble risk unable",
    ),
    ("confident", "sure certainly definitely absolutely exactly clearly always course confident guaranteed"),
)
_BY_WORD: dict[str, Emotion] = {word: feeling for feeling, words in _LEXICON for word in words.split()}
_NEGATIONS = frozenset(
    ("not", "no", "never", "without", "nothing", "nobody", "neither", "hardly", "isn't", "don't", "doesn't")
)
_INTENSIFIERS = frozenset(("very", "so", "really", "extremely", "truly", "quite", "such", "too"))
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_SENTENCE = re.compile(r"[^.!?…\n]+[.!?…]*\s*|[.!?…]+\s*")
REACH = 3
"""A negation or intensifier works on the words up to this far behind it."""


@dataclass(frozen=True, slots=True)
class Feeling:
    """How one sentence is said; `intensity` runs from 0 to 1."""

    text: str
    emotion: Emotion
    intensity: float


def feelings(text: str) -> tuple[Feeling, ...]:
    """One per sentence, in order; never empty."""
    found = tuple(_feeling(part) for part in _SENTENCE.findall(text) if part.strip())
    return found or (Feeling(text, "neutral", CALM),)


def strongest(found: Sequence[Feeling]) -> Emotion:
    """The feeling of the whole: the one with the most weight (intensity by length), neutral last."""
    weights = dict.fromkeys(EMOTIONS, 0.0)
    for feeling in found:
        if feeling.emotion != "neutral":
            weights[feeling.emotion] += feeling.intensity * len(feeling.text)
    best = max(weights, key=lambda name: weights[name])
    return best if weights[best] > 0 else "neutral"


def _feeling(sentence: str) -> Feeling:
    scores = dict.fromkeys(EMOTIONS, 0.0)
    words = [word.lower().replace("’", "'") for word in _WORD.findall(sentence)]
    for place, word in enumerate(words):
        feeling = _BY_WORD.get(word)
        if feeling is None:
            continue
        before = words[max(0, place - REACH) : place]
        if _NEGATIONS.intersection(before):
            continue
        scores[feeling] += 1.5 if _INTENSIFIERS.intersection(before) else 1.0
    if sentence.rstrip().endswith("?"):
        scores["curious"] += 1.0
    if sentence.rstrip().endswith("!"):
        # A mark alone says little: it strengthens what the words say, or is cheerful.
        scores[max(scores, key=lambda name: scores[name]) if any(scores.values()) else "happy"] += 0.5
    best = max(scores, key=lambda name: scores[name])
    if scores[best] <= 0:
        return Feeling(sentence, "neutral", CALM)
    return Feeling(sentence, best, round(min(1.0, CALM + STEP * scores[best]), 3))
