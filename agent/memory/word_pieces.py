"""Cuts a sentence into the word pieces of BERT's uncased vocabulary; called by the sentence encoder.

WordPiece as in Devlin et al. 2018 (BERT) with the rules of its reference tokenizer: control characters go,
white space is joined, Chinese characters stand alone, accents and capitals go, punctuation stands alone; each
word is then covered by the longest pieces of the vocabulary, from its beginning to its end.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

CLS, SEP, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
LONGEST_WORD = 100
"""A longer word is one unknown piece."""
_CHINESE = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPieces:
    """Immutable after loading."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._numbers = vocabulary

    @classmethod
    def load(cls, path: Path) -> WordPieces:
        """From a `vocab.txt`: one piece per line, numbered from 0."""
        lines = path.read_text(encoding="utf-8").split("\n")
        return cls({piece: number for number, piece in enumerate(lines) if piece})

    def numbers(self, text: str, limit: int) -> list[int]:
        """The numbers of at most `limit` pieces, with the marks of beginning and end; the rest is cut off."""
        pieces: list[int] = []
        for word in _words(text):
            pieces += self._covered(word)
            if len(pieces) >= limit - 2:
                break
        return [self._numbers[CLS], *pieces[: limit - 2], self._numbers[SEP]]

    def _covered(self, word: str) -> list[int]:
        if len(word) > LONGEST_WORD:
            return [self._numbers[UNKNOWN]]
        found: list[int] = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                number = self._numbers.get(("##" if start else "") + word[start:end])
                if number is not None:
                    found.append(number)
                    start = end
                    break
            else:
                return [self._numbers[UNKNOWN]]
        return found


def _words(text: str) -> Iterator[str]:
    spaced = "".join(_spaced(char) for char in text)
    for word in spaced.split():
        plain = unicodedata.normalize("NFD", word.lower())
        letters = "".join(char for char in plain if unicodedata.category(char) != "Mn")
        yield from _split_at_punctuation(letters)


def _spaced(char: str) -> str:
    code = ord(char)
    if char in "\t\n\r" or unicodedata.category(char) == "Zs":
        return " "
    if code in (0, 0xFFFD) or unicodedata.category(char).startswith("C"):
        return ""
    return f" {char} " if any(first <= code <= last for first, last in _CHINESE) else char


def _split_at_punctuation(word: str) -> Iterator[str]:
    start = 0
    for place, char in enumerate(word):
        if _is_punctuation(char):
            if start < place:
                yield word[start:place]
            yield char
            start = place + 1
    if start < len(word):
        yield word[start:]


def _is_punctuation(char: str) -> bool:
    # ASCII's symbols count too, although Unicode calls some of them otherwise: $ ^ ` and the like.
    code = ord(char)
    symbol = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return symbol or unicodedata.category(char).startswith("P")
