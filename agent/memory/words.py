"""Compares memories by their words: without a sentence model, and to identify what to forget."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+")
_ENDINGS = ("ies", "es", "s", "ing", "ed", "e", "y")
_SHORTEST_STEM = 3
_STOP_WORD_LIST = """
    a about all am an and any are as at be been but by call called can did do does for from had has
    have he her his how i in is it its know like me mine my name named of on or our ours remember
    said say she so tell that the their them there these they thing things this to told us was we
    were what when where which who why will with you your
    """
_STOP_WORDS = frozenset(_STOP_WORD_LIST.split())


def content_words(text: str) -> frozenset[str]:
    """Returns the stems of the words that are no stop words; of all words where all are."""
    words = [word.lower() for word in _WORD.findall(text)]
    return frozenset(map(_stem, [word for word in words if word not in _STOP_WORDS] or words))


def word_overlap(query: frozenset[str], text: str) -> float:
    """Returns the share of the query's words that are in the text, 0 to 1."""
    return len(query & content_words(text)) / len(query) if query else 0.0


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word.removesuffix(ending)
    return word
