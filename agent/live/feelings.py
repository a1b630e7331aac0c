"""Classifies the feeling of each sentence by a lexicon of its language; used by live sessions.

The names are those of avatar pages. Words and marks score, a negation near a word removes its score, an
intensifier adds to it, and the highest score wins. Without a lexicon of the language all is neutral.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.live.lexicon import EMOTIONS, Emotion, Lexicon

CALM = 0.3
"""Intensity of a sentence without any feeling in it."""
STEP = 0.25
"""How much one word adds to the intensity."""

_SENTENCE = re.compile(r"[^.!?…\n]+[.!?…]*\s*|[.!?…]+\s*")
_CLAUSE = re.compile(r"[,;:()–—]")
REACH = 3
"""A negation or intensifier works on the words up to this far behind it, in the same clause."""


@dataclass(frozen=True, slots=True)
class Feeling:
    """The feeling of one sentence; `intensity` runs from 0 to 1."""

    text: str
    emotion: Emotion
    intensity: float


def feelings(text: str, lexicon: Lexicon | None) -> tuple[Feeling, ...]:
    """Returns one per sentence, in order; never empty. Without a lexicon all are neutral."""
    found = tuple(_feeling(part, lexicon) for part in _SENTENCE.findall(text) if part.strip())
    return found or (Feeling(text, "neutral", CALM),)


def strongest(found: Sequence[Feeling]) -> Emotion:
    """Returns the feeling with the most weight (intensity by length), neutral last."""
    weights = dict.fromkeys(EMOTIONS, 0.0)
    for feeling in found:
        if feeling.emotion != "neutral":
            weights[feeling.emotion] += feeling.intensity * len(feeling.text)
    best = max(weights, key=lambda name: weights[name])
    return best if weights[best] > 0 else "neutral"


def _feeling(sentence: str, lexicon: Lexicon | None) -> Feeling:
    if lexicon is None:
        return Feeling(sentence, "neutral", CALM)
    scores = dict.fromkeys(EMOTIONS, 0.0)
    for clause in _CLAUSE.split(sentence):
        _count(lexicon.words_of(clause), lexicon, scores)
    if sentence.rstrip().endswith("?"):
        scores["curious"] += 1.0
    if sentence.rstrip().endswith("!"):
        # A mark alone says little: it strengthens what the words say, or is cheerful.
        scores[max(scores, key=lambda name: scores[name]) if any(scores.values()) else "happy"] += 0.5
    best = max(scores, key=lambda name: scores[name])
    if scores[best] <= 0:
        return Feeling(sentence, "neutral", CALM)
    return Feeling(sentence, best, round(min(1.0, CALM + STEP * scores[best]), 3))


def _count(words: Sequence[str], lexicon: Lexicon, scores: dict[Emotion, float]) -> None:
    for place, word in enumerate(words):
        feeling = lexicon.feeling_of(word)
        if feeling is None:
            continue
        before = words[max(0, place - REACH) : place]
        after = words[place + 1 : place + 1 + lexicon.negates_before]
        if lexicon.negations.intersection((*before, *after)):
            continue
        scores[feeling] += 1.5 if lexicon.intensifiers.intersection(before) else 1.0
