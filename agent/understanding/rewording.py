"""Replaces words of a text that is spoken: those that are named, or the one day or number corrected."""

from __future__ import annotations

import re

from rapidfuzz import fuzz

from agent.understanding import values

LIKE = 75.0
"""From here on, of 100, words are like others."""
_KINDS = ("weekdays", "months", "days", "ordinals")


def replace_words(script: str, old: str, new: str) -> str | None:
    """Returns a text with some words replaced wherever they stand as whole words; None without them."""
    pattern = re.compile(rf"(?<!\w){re.escape(old.strip())}(?!\w)", re.IGNORECASE)
    if not old.strip() or not pattern.search(script):
        return None
    return pattern.sub(lambda match: _cased(new.strip(), match[0]), script)


def replace_like(script: str, new: str) -> str | None:
    """Returns a text with the words that are most like some others replaced by those: with “Welcome to Casa
    Lupo” in place of “Welcome at Casa Lupo”. None where nothing is like them.
    """
    words, count = script.split(), len(new.split())
    if not 1 < count <= len(words):
        return None
    parts = [" ".join(words[at : at + count]) for at in range(len(words) - count + 1)]
    likest = max(parts, key=lambda part: fuzz.ratio(part.lower(), new.lower()))
    if fuzz.ratio(likest.lower(), new.lower()) < LIKE or likest == new:
        return None
    ends = likest[-1] if likest[-1] in ".,;!?" and new[-1] not in ".,;!?" else ""
    return script.replace(likest, f"{new}{ends}", 1)


def _cased(new: str, old: str) -> str:
    return new[:1].upper() + new[1:] if old[:1].isupper() and new else new


def correct_word(script: str, text: str) -> str | None:
    """Returns a text with the one weekday, month, day or number that a correction names another of."""
    spoken, there = values.WORD.findall(text), values.WORD.findall(script)
    table = values.words()
    tests = [getattr(table, kind).__contains__ for kind in _KINDS]
    tests.append(lambda word: word[0].isdigit())
    tests.append(lambda word: word in table.numbers and word not in values.ARTICLES)
    tests.append(lambda word: word[0].isdigit() or (word in table.numbers and word not in values.ARTICLES))
    for has in tests:
        new = list(dict.fromkeys(word for word in spoken if has(word.lower())))
        old = list(dict.fromkeys(word for word in there if has(word.lower())))
        if len(new) == 1 and len(old) == 1 and new[0].lower() != old[0].lower():
            return replace_words(script, old[0], new[0])
    return None
