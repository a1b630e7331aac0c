""" "Did you mean": examples that lie close to a sentence nobody understood; called by the Grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

_WORD = re.compile(r"\w+")
_CLOSE_ENOUGH = 0.45
_SAME_WORD = 0.7
"""From here on two spellings count as one word."""


def closest_examples(sentence: str, examples: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """The examples most like `sentence`, best first. Misspelt words count for most of their length."""
    words = _words(sentence)
    if not words:
        return ()
    alike = _Alike()
    ranked = sorted(
        ((_likeness(alike, words, _words(example)), example) for example in examples), reverse=True
    )
    return tuple(example for likeness, example in ranked[:limit] if likeness >= _CLOSE_ENOUGH)


class _Alike:
    """How alike two words are, 0..1, each pair looked at once: examples share most of their words."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], float] = {}

    def ratio(self, one: str, other: str) -> float:
        """0 below `_SAME_WORD`."""
        if one == other:
            return 1.0
        # What two words of such lengths could have in common at most.
        if 2 * min(len(one), len(other)) < _SAME_WORD * (len(one) + len(other)):
            return 0.0
        known = self._known.get((one, other))
        if known is None:
            known = SequenceMatcher(None, one, other).ratio()
            known = self._known[one, other] = known if known >= _SAME_WORD else 0.0
        return known


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)][:12]


def _likeness(alike: _Alike, said: list[str], example: list[str]) -> float:
    """0..1: how well each word said finds a partner in the example, and the other way round."""
    return (_covered(alike, said, example) + _covered(alike, example[: len(said) + 2], said)) / 2


def _covered(alike: _Alike, words: list[str], others: list[str]) -> float:
    if not words or not others:
        return 0.0
    return sum(max(alike.ratio(word, other) for other in others) for word in words) / len(words)
