"""Divides an utterance into clauses that each ask for something, at conjunctions and punctuation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.understanding import values
from agent.understanding.classifier import Classifier, hashes
from agent.understanding.sentence import Sentence, word_of
from agent.understanding.tagger import Tagger
from agent.understanding.tokens import Token

MOST_PLACES = 16
SURE = 0.5
PERHAPS = 0.15
_MARKS = frozenset(",;.!?/&+–—-•→")


@dataclass(frozen=True, slots=True)
class Boundary:
    """A place where a sentence may be divided: the left part ends before token `end`, the right one begins at
    `start`.
    """

    end: int
    start: int


def boundaries(tokens: Sequence[Token]) -> list[Boundary]:
    """Returns the places at conjunctions and punctuation, with something on both sides."""
    found: list[Boundary] = []
    place = 0
    while place < len(tokens):
        end = place
        while place < len(tokens) and (length := _joiner_at(tokens, place)):
            place += length
        if place > end and end > 0 and place < len(tokens):
            found.append(Boundary(end, place))
        place = max(place, end) + 1 if place == end else place
    return found[:MOST_PLACES]


def _joiner_at(tokens: Sequence[Token], place: int) -> int:
    """Returns how many tokens of a conjunction or punctuation mark begin here."""
    if tokens[place].text in _MARKS:
        return 1
    joiners = values.words().groups["joiners"]
    for length in (3, 2, 1):
        if " ".join(
            token.lower for token in tokens[place : place + length]
        ) in joiners and place + length <= len(tokens):
            return length
    return 0


def boundary_features(
    sentence: Sentence,
    boundary: Boundary,
    tags: Sequence[str],
    left: tuple[str, float],
    right: tuple[str, float],
) -> set[str]:
    """Returns the features of one place: words around it, tags of the arguments there, and how surely either
    side asks for something by itself.
    """
    words = [word_of(token) for token in sentence.tokens]
    kinds = ["".join(sentence.kinds_at(place)) for place in range(len(words))]
    joint = " ".join(words[boundary.end : boundary.start])
    before = ["^", "^", "^", *words[: boundary.end]][-3:]
    after = [*words[boundary.start :], "$", "$", "$"][:3]
    inside = tags[boundary.start] if tags[boundary.start].startswith("I-") else "O"
    (left_intent, left_p), (right_intent, right_p) = left, right
    left_bin, right_bin = int(left_p * 5), int(right_p * 5)
    remaining = min(len(words) - boundary.start, 4)
    same = (
        "same"
        if left_intent == right_intent
        else "tool"
        if left_intent.split(".")[0] == right_intent.split(".")[0]
        else "other"
    )
    return {
        f"j{joint}",
        f"-1{before[2]}",
        f"-2{before[1]} {before[2]}",
        f"+1{after[0]}",
        f"+1j{joint} {after[0]}",
        f"+2{after[0]} {after[1]}",
        f"+3{after[0]} {after[1]} {after[2]}",
        f"in{inside}",
        f"inj{inside} {joint}",
        f"tag{tags[boundary.start]}",
        f"tagl{tags[boundary.end - 1]}",
        f"r{right_bin}",
        f"l{left_bin}",
        f"rl{left_bin} {right_bin}",
        f"ri{right_intent}",
        f"rib{right_intent} {right_bin}",
        f"li{left_intent}",
        f"same{same} {right_bin}",
        f"n{remaining}",
        f"nr{remaining} {right_bin}",
        f"k{kinds[boundary.start]}",
        f"kr{kinds[boundary.start]} {remaining}",
        f"q{'<text>' in words[boundary.start :]}",
        f"act{right_intent.startswith('act')} {right_bin}",
        f"inr{inside} {right_bin}",
        f"la{left_intent.startswith('act')} {left_bin}",
        f"lir{left_intent} {inside}",
    }


def features_at(
    sentence: Sentence, places: Sequence[Boundary], classifier: Classifier, tagger: Tagger
) -> list[set[str]]:
    """Returns the features of each place, by what the classifier and the tagger make of the sentence."""
    if not places:
        return []
    words = [sentence.word(place) for place in range(len(sentence.tokens))]
    tags, _ = tagger.tag(sentence.views(), _surest(classifier, words)[0])
    return [
        boundary_features(
            sentence,
            place,
            tags,
            _surest(classifier, words[: place.end]),
            _surest(classifier, words[place.start :]),
        )
        for place in places
    ]


def _surest(classifier: Classifier, words: Sequence[str]) -> tuple[str, float]:
    probabilities = classifier.probabilities(words)
    best = int(probabilities.argmax())
    return classifier.labels[best], float(probabilities[best])


@dataclass(frozen=True)
class Divider:
    """A trained judge of boundaries."""

    classifier: Classifier

    def probability(self, features: set[str]) -> float:
        scores = self.classifier.scores(hashes(features))
        return float(1 / (1 + np.exp(scores[0] - scores[1]))) if len(scores) > 1 else 0.0


def parts_of(sentence: Sentence, cuts: Sequence[Boundary]) -> list[str]:
    """Returns the texts between the cuts."""
    parts = []
    start = 0
    for cut in (*cuts, None):
        end = len(sentence.tokens) if cut is None else cut.end
        tokens = sentence.tokens[start:end]
        if tokens:
            parts.append(sentence.text[tokens[0].start : tokens[-1].end])
        start = cut.start if cut is not None else end
    return parts
