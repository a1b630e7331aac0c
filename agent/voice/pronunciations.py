"""Knows how words, numbers and short letter names are pronounced; called by the recogniser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import count, islice, product
from pathlib import Path

MAX_WAYS = 2
"""Pronunciations of a number or of letters that are listened for, for each reading."""
_LETTERS = re.compile(r"[a-z]+|\d+")
_LONGEST_SPELT = 4


class Dictionary:
    """Pronunciations of words in ARPAbet: the dictionary of pocketsphinx, numbers, and short letter names."""

    def __init__(self, path: Path) -> None:
        self._phones: dict[str, str] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            word, _, phones = line.partition(" ")
            self._phones.setdefault(word, phones.strip())

    def __contains__(self, word: str) -> bool:
        return word in self._phones

    def knows(self, word: str) -> bool:
        """Returns whether `pronounce` has the phones of a word."""
        return self.pronounce(word) is not None

    def pronounce(self, word: str) -> str | None:
        """Returns the most usual phones of a word."""
        return next(iter(self.pronunciations(word)), None)

    def pronunciations(self, word: str) -> list[str]:
        """Returns all phones of a word: of digits as numbers (480p), of up to four letters as their names
        (gpu).
        """
        if word in self._phones:
            return list(self._variants(word))
        parts = _LETTERS.findall(word)
        if not parts or "".join(parts) != word:
            return []
        # “gpus”: the plural of letters.
        found = {f"{one} Z": None for one in self.pronunciations(word[:-1])} if word.endswith("s") else {}
        for reading in product(*map(self._readings, parts)):
            words = [one for part in reading for one in part]
            ways = product(*(self._variants(one) for one in words))
            found |= dict.fromkeys(" ".join(way) for way in islice(ways, MAX_WAYS))
        return list(found)

    def _variants(self, word: str) -> Iterator[str]:
        """Yields the phones of a word of the dictionary: those of “a”, then of “a(2)”."""
        for number in count(1):
            phones = self._phones.get(f"{word}({number})" if number > 1 else word)
            if phones is None:
                return
            yield phones

    def _readings(self, part: str) -> list[list[str]]:
        if part.isdigit():
            return number_readings(part)
        if part in self._phones:
            return [[part]]
        return [list(part)] if len(part) <= _LONGEST_SPELT else []


def number_words(digits: str) -> list[str]:
    """Returns how people say a number: 7 → seven, 24 → twenty four, 480 → four eighty, 1080 → ten eighty."""
    from num2words import num2words  # type: ignore[import-untyped]

    if len(digits) > 4 or (digits[0] == "0" and len(digits) > 1):
        return [word for digit in digits for word in number_words(digit)]
    words: str = num2words(int(digits), to="year")
    return words.replace("-", " ").split()


def number_readings(digits: str) -> list[list[str]]:
    """Returns all ways to say a number: 480 → four eighty, four hundred eighty, four hundred and eighty."""
    from num2words import num2words

    readings = [number_words(digits)]
    if len(digits) in (3, 4) and digits[0] != "0":
        cardinal = re.findall(r"[a-z]+", num2words(int(digits)))
        readings += [[word for word in cardinal if word != "and"], cardinal]
    return readings


@lru_cache(maxsize=1)
def dictionary() -> Dictionary:
    """Returns the English dictionary, read once."""
    return Dictionary(Path(dictionary_path()))


def dictionary_path() -> str:
    """Returns the file of the English dictionary."""
    return str(model_path() / "cmudict-en-us.dict")


@lru_cache(maxsize=1)
def model_path() -> Path:
    """Returns the folder of the English models that come with pocketsphinx."""
    import pocketsphinx

    return Path(pocketsphinx.get_model_path("en-us"))
