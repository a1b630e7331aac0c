""" "Did you mean": examples that lie close to a sentence nobody understood; called by the Grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

_WORD = re.compile(r"\w+")
_CLOSE_ENOUGH = 0.45


def closest_examples(sentence: str, examples: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """The examples most like `sentence`, best first. Misspelt words count for most of their length."""
    words = _words(sentence)
    if not words:
        return ()
    ranked = sorted(((_likeness(words, _words(example)), example) for example in examples), reverse=True)
    return tuple(example for likeness, example in ranked[:limit] if likeness >= _CLOSE_ENOUGH)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)][:12]


def _likeness(said: list[str], example: list[str]) -> float:
    """0..1: how well each word said finds a partner in the example, and the other way round."""
    return (_covered(said, example) + _covered(example[: len(said) + 2], said)) / 2


def _covered(words: list[str], others: list[str]) -> float:
    if not words or not others:
        return 0.0
    best = [max(SequenceMatcher(None, word, other).ratio() for other in others) for word in words]
    return sum(ratio if ratio >= 0.7 else 0.0 for ratio in best) / len(words)
