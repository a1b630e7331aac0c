"""Corrects misspelt words by the vocabulary of the corpus, for the classifier and the tagger only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

from rapidfuzz.distance import OSA

MISSPELT_FROM = 4
TWO_ERRORS_FROM = 8


class Spelling:
    """Finds the most frequent word of the vocabulary within one edit, or two in a long word."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.counts = counts
        self._found: dict[str, str] = {}

    @cached_property
    def _by_length(self) -> dict[tuple[int, str], list[str]]:
        found: dict[tuple[int, str], list[str]] = defaultdict(list)
        for word in self.counts:
            if len(word) >= MISSPELT_FROM - 1 and word.isalpha():
                found[len(word), word[0]].append(word)
        return found

    def correct(self, word: str) -> str:
        """Returns the word as it is spelt in the vocabulary, or as it is."""
        if word in self.counts or len(word) < MISSPELT_FROM or not word.isalpha():
            return word
        if word not in self._found:
            if len(self._found) > 5000:
                self._found.clear()
            self._found[word] = self._closest(word)
        return self._found[word]

    def _closest(self, word: str) -> str:
        most = 2 if len(word) >= TWO_ERRORS_FROM else 1
        best, best_key = word, (most + 1, 0)
        for length in range(len(word) - most, len(word) + most + 1):
            for first in {word[0], word[1]}:
                for other in self._by_length.get((length, first), ()):
                    distance = OSA.distance(word, other, score_cutoff=most)
                    if distance <= most and (distance, -self.counts[other]) < best_key:
                        best, best_key = other, (distance, -self.counts[other])
        return best
