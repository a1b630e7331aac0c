"""Splits sentences into tokens with their places; used by the reader and its training."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"[a-z]+_[0-9A-Za-z]{3,}"  # run_01J…, an id
    r"|#[0-9A-Fa-f]{6}\b"
    r"|\d{1,2}:\d{2}\b"
    r"|\d+(?:\.\d+)+"
    r"|\w+(?:[-’'./]\w+)*"
    r"|[^\w\s]"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number or punctuation mark; `start` and `end` are its place in the sentence."""

    text: str
    start: int
    end: int

    @property
    def lower(self) -> str:
        return self.text.lower().replace("’", "'")


def tokenize(sentence: str) -> list[Token]:
    """Returns the tokens of a sentence, in their order."""
    return [Token(match[0], match.start(), match.end()) for match in _TOKEN.finditer(sentence)]
