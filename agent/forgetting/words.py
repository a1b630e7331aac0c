"""Words that are forgotten, and how they go out of a text, a plan or an event; used wherever they stand."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from policy.audit.words import FORGOTTEN

_TELLING_CHARS = 200
"""So much of a text is looked for: plans and events cut what is long."""
_MOST_HINTS = 20
_ASCII = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile(r"[^\W_]+")

Turn = tuple[str, int]
"""A session's id, and the number of a turn in it."""


@dataclass(frozen=True)
class Forgotten:
    """What an owner (`subject`, a principal of `tenant`) wants forgotten, and in which turns it was told.

    Words are compared without regard to case and spaces, and as whole words.
    """

    tenant: str
    subject: str
    texts: tuple[str, ...]
    told_in: frozenset[Turn] = field(default_factory=frozenset)

    @cached_property
    def hints(self) -> tuple[str, ...]:
        """ASCII words, one of which stands in whatever says a text, also where JSON escapes other letters.

        For a database, which finds them quickly; none when it had better be shown everything.
        """
        found = [max(_ASCII.findall(text[:_TELLING_CHARS]), key=len, default="") for text in self.texts]
        few = len(found) <= _MOST_HINTS and all(len(word) > 1 for word in found)
        return tuple(dict.fromkeys(found)) if few else ()

    @cached_property
    def _by_word(self) -> Mapping[str, Sequence[str]]:
        """The texts by a word of theirs, because thousands may be forgotten at once."""
        found: dict[str, list[str]] = defaultdict(list)
        for text in filter(None, map(_plain, self.texts)):
            words = _WORD.findall(text)
            # The last one may be cut.
            found[max(words[:-1] or words, key=len, default="")].append(text)
        return found

    def says(self, value: Any) -> bool:
        """Returns whether any of the texts stands in a string within the value."""
        return bool(self.without(value) != value)

    def without(self, value: Any) -> Any:
        """The same value, with a mark in the place of each line that says one of the texts."""
        return replaced(value, self._line_by_line)

    def _line_by_line(self, told: str) -> str:
        lines = told.split("\n")
        found = [FORGOTTEN if self._stands_in(line) else line for line in lines]
        if found != lines:
            return "\n".join(found)
        return FORGOTTEN if len(lines) > 1 and self._stands_in(told) else told

    def _stands_in(self, told: str) -> bool:
        said = _plain(told, None)
        words = {"", *_WORD.findall(said)} & self._by_word.keys()
        return any(_as_words(text, said) for word in words for text in self._by_word[word])


def replaced(value: Any, change: Callable[[str], str]) -> Any:
    """The same value with each string in it changed; names of fields stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: replaced(inner, change) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(inner, change) for inner in value]
    return value


def _as_words(text: str, said: str) -> bool:
    place = said.find(text)
    while place >= 0:
        end = place + len(text)
        before, after = said[max(place - 1, 0) : place], said[end : end + 1]
        cut = len(text) >= _TELLING_CHARS
        if not (_joins(before, text[0]) or (_joins(after, text[-1]) and not cut)):
            return True
        place = said.find(text, place + 1)
    return False


def _joins(beside: str, letter: str) -> bool:
    """Returns whether two characters are of one word."""
    return beside.isalnum() and letter.isalnum()


def _plain(text: str, most: int | None = _TELLING_CHARS) -> str:
    return " ".join(text.casefold().split())[:most]
