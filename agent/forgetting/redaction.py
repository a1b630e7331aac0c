"""Redacts texts in a string, a plan or an event; used wherever texts of a user are stored."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from policy.audit.redactable import FORGOTTEN

_COMPARED_CHARS = 200
"""The length that is compared: plans and events cut longer texts."""
_MAX_PREFILTER = 20
_ASCII = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile(r"[^\W_]+")

Value = TypeVar("Value")
Turn = tuple[str, int]
"""A session's id, and the number of a turn in it."""


@dataclass(frozen=True)
class Redaction:
    """Texts that an owner (`subject`, a principal of `tenant`) wants redacted, and their source turns.

    `source_turns` are turns to read besides those that the prefilter finds. Texts are compared as whole
    words, without regard to case and spaces.
    """

    tenant: str
    subject: str
    texts: tuple[str, ...]
    source_turns: frozenset[Turn] = field(default_factory=frozenset)

    @cached_property
    def prefilter(self) -> tuple[str, ...]:
        """Returns ASCII words for a database query: every match holds one, also where JSON escapes letters.

        Empty where reading all rows is better.
        """
        found = [max(_ASCII.findall(text[:_COMPARED_CHARS]), key=len, default="") for text in self.texts]
        few = len(found) <= _MAX_PREFILTER and all(len(word) > 1 for word in found)
        return tuple(dict.fromkeys(found)) if few else ()

    @cached_property
    def _by_word(self) -> Mapping[str, Sequence[str]]:
        """Returns an index from one word of each text to the texts, because there may be thousands of
        them.
        """
        found: dict[str, list[str]] = defaultdict(list)
        for text in filter(None, map(_plain, self.texts)):
            words = _WORD.findall(text)
            # The last one may be cut.
            found[max(words[:-1] or words, key=len, default="")].append(text)
        return found

    def matches(self, value: Any) -> bool:
        """Returns whether a string within the value holds one of the texts."""
        return bool(self.redact(value) != value)

    def redact(self, value: Value) -> Value:
        """Returns the value with a mark in place of each line that holds one of the texts."""
        redacted: Value = map_strings(value, self._redact_lines)
        return redacted

    def _redact_lines(self, text: str) -> str:
        lines = text.split("\n")
        found = [FORGOTTEN if self._occurs_in(line) else line for line in lines]
        if found != lines:
            return "\n".join(found)
        return FORGOTTEN if len(lines) > 1 and self._occurs_in(text) else text

    def _occurs_in(self, value: str) -> bool:
        plain = _plain(value, None)
        words = {"", *_WORD.findall(plain)} & self._by_word.keys()
        return any(_occurs_as_words(text, plain) for word in words for text in self._by_word[word])


def map_strings(value: Any, change: Callable[[str], str]) -> Any:
    """Returns the value with each string in it changed; names of fields stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: map_strings(inner, change) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [map_strings(inner, change) for inner in value]
    return value


def _occurs_as_words(text: str, value: str) -> bool:
    """Returns whether the text occurs in the value between word boundaries; one that is cut may go on."""
    before = r"(?<![^\W_])" if text[0].isalnum() else ""
    after = r"(?![^\W_])" if text[-1].isalnum() and len(text) < _COMPARED_CHARS else ""
    return text in value and re.search(f"{before}{re.escape(text)}{after}", value) is not None


def _plain(text: str, max_chars: int | None = _COMPARED_CHARS) -> str:
    return " ".join(text.casefold().split())[:max_chars]
