"""Finds memories by their words: where there is no sentence model, and to know what shall be forgotten."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+")
_ENDINGS = ("ies", "es", "s", "ing", "ed", "e", "y")
_SHORTEST_STEM = 3
# Words that stand in every sentence find nothing.
_EMPTY_WORDS = """
    a about all am an and any are as at be been but by call called can did do does for from had has
    have he her his how i in is it its know like me mine my name named of on or our ours remember
    said say she so tell that the their them there these they thing things this to told us was we
    were what when where which who why will with you your
    """
_EMPTY = frozenset(_EMPTY_WORDS.split())


def telling_words(text: str) -> frozenset[str]:
    """The words that say what a text is about, without their endings; all its words when none does."""
    words = [word.lower() for word in _WORD.findall(text)]
    return frozenset(map(_stem, [word for word in words if word not in _EMPTY] or words))


def shared(asked: frozenset[str], text: str) -> float:
    """0..1: how many of the words asked for are in the text."""
    return len(asked & telling_words(text)) / len(asked) if asked else 0.0


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word.removesuffix(ending)
    return word
