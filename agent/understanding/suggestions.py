""" "Did you mean": examples that lie close to a sentence nobody understood; called by the Grammar."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher
from functools import cache

_Ratio = Callable[[str, str], float]
_WORD = re.compile(r"\w+")
_CLOSE_ENOUGH = 0.45
_SAME_WORD = 0.7
"""From here on two spellings count as one word."""


def closest_examples(sentence: str, examples: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """The examples most like `sentence`, best first. Misspelt words count for most of their length."""
    words = _words(sentence)
    if not words:
        return ()
    # Examples share most of their words.
    alike: _Ratio = cache(_ratio)
    ranked = sorted(
        ((_likeness(alike, words, _words(example)), example) for example in examples), reverse=True
    )
    return tuple(example for likeness, example in ranked[:limit] if likeness >= _CLOSE_ENOUGH)


def _ratio(one: str, other: str) -> float:
    """Returns how alike two words are, 0..1; 0 below `_SAME_WORD`."""
    if one == other:
        return 1.0
    # The ratio of words with such lengths is lower at most.
    if 2 * min(len(one), len(other)) < _SAME_WORD * (len(one) + len(other)):
        return 0.0
    # Nor can it be higher than the letters of one that the other has.
    if 2 * sum(letter in other for letter in one) < _SAME_WORD * (len(one) + len(other)):
        return 0.0
    ratio = SequenceMatcher(None, one, other).ratio()
    return ratio if ratio >= _SAME_WORD else 0.0


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)][:12]


def _likeness(alike: _Ratio, words: list[str], example: list[str]) -> float:
    """0..1: how well each word words finds a partner in the example, and the other way round."""
    return (_covered(alike, words, example) + _covered(alike, example[: len(words) + 2], words)) / 2


def _covered(alike: _Ratio, words: list[str], others: list[str]) -> float:
    if not words or not others:
        return 0.0
    return sum(max(alike(word, other) for other in others) for word in words) / len(words)
