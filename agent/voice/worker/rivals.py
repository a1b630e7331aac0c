"""Finds what else may have been said: sentences of another meaning that sound alike; called by `listening`.

In noise “reload” and “remove” differ by a few natural logarithms of likelihood, in a quiet room by more than
65: both begin with the same phones, and what tells them apart, L against M and D against V, is soft. The
garbage test does not see that, because it compares words with phones, not with other words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rapidfuzz.distance import Indel

from agent.voice.pronunciations import dictionary
from agent.voice.recogniser import CommandRecogniser, Recognition
from agent.voice.spoken_grammar import SpokenGrammar
from agent.voice.worker.sureness import CHANGING, DOUBTFUL, confidence_needed, meaning_of

MIN_ALIKE = 0.3
"""Words that share less of their phones are not taken for each other."""
MAX_RIVALS = 8
MARGIN = 30.0
"""A rival whose log-likelihood is no further below than this is asked about."""
FIRST = ("the first", "the first one", "first")
SECOND = ("the second", "the second one", "second")
NEITHER = ("neither", "none of them", "no", "never mind")


@dataclass(frozen=True, slots=True)
class Choice:
    """Two sentences, of which one was said. `meanings`: the sentence of each answer; none of both is ""."""

    question: str
    sentences: tuple[str, str]
    meanings: Mapping[str, str]
    grammar: SpokenGrammar

    @classmethod
    def between(cls, one: tuple[str, str], other: tuple[str, str]) -> Choice:
        """Returns the choice between two sentences, each with the word in which it differs."""
        (first, first_word), (second, second_word) = one, other
        meanings = {
            **dict.fromkeys((first, first_word, *FIRST), first),
            **dict.fromkeys((second, second_word, *SECOND), second),
            **dict.fromkeys(NEITHER, ""),
        }
        question = f"Did you say {first_word} or {second_word}?"
        return cls(question, (first, second), meanings, SpokenGrammar.of(meanings))


def find_choice(recogniser: CommandRecogniser, grammar: SpokenGrammar, result: Recognition) -> Choice | None:
    """Returns the choice between a recognised sentence and its nearest rival; None where it is clear.

    A sentence that only reads is taken as it is when its confidence is high. Takes some 50 ms.
    """
    changes = confidence_needed(result.text) >= CHANGING
    if result.confidence < DOUBTFUL or (not changes and result.confidence >= CHANGING):
        return None
    meaning = meaning_of(result.text)
    alike = sorted(
        ((_likeness(word, other), text, word, other) for text, word, other in grammar.variants(result.text)),
        reverse=True,
    )
    rivals = [
        (text, word, other)
        for likeness, text, word, other in alike[:MAX_RIVALS]
        if likeness >= MIN_ALIKE and meaning_of(text) != meaning
    ]
    if not rivals:
        return None
    found = recogniser.compare([result.text, *(text for text, _, _ in rivals)])
    text, word, other = max(rivals, key=lambda rival: found.get(rival[0], float("-inf")))
    if found.get(text, float("-inf")) < found.get(result.text, float("-inf")) - MARGIN or text not in found:
        return None
    return Choice.between((result.text, word), (text, other))


def _likeness(word: str, other: str) -> float:
    """Returns the share of phones that two words have in common, in their order."""
    phones = [(dictionary().pronounce(one) or "").split() for one in (word, other)]
    return Indel.normalized_similarity(*phones)
