"""Finds phrasings nearer to another tool's than to their own: `python -m bench.nlu_evaluation.nearness`.

Each is compared with all others of its language, as a bag of words, pairs and n-grams weighted by rarity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.sentences import read_yaml
from agent.understanding.classifier import hashes, word_features
from agent.understanding.corpus import VARIED, Example, corpus_files, read_corpus
from agent.understanding.training import training_sentence
from bench.nlu_evaluation.cases import FOLDER

ALLOWED = FOLDER / "near.yaml"
TOO_NEAR = 0.75
MARGIN = 0.1
_BUCKETS = 4096
_LEFT_OUT = 0.4
"""Length of the vector of the features that a rough likeness leaves out."""


@dataclass(frozen=True, slots=True)
class Near:
    """A phrasing, and the one of another tool that it is nearest to."""

    example: Example
    other: Example
    likeness: float
    own: float

    @property
    def pair(self) -> frozenset[str]:
        return frozenset((self.example.intent, self.other.intent))


@dataclass(frozen=True, slots=True)
class _Index:
    """Unit vectors of phrasings; rare features count more. `rows[starts[n]:starts[n + 1]]` have features in
    bucket `n`, with these `weights`.
    """

    buckets: Sequence[NDArray[np.int64]]
    """Of each phrasing, the rarest first."""
    lengths: NDArray[np.float64]
    """Of the vectors, before they are divided by it."""
    rarity: NDArray[np.float64]
    starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, examples: Sequence[Example]) -> _Index:
        features = (hashes(word_features(training_sentence(one, None).words())) for one in examples)
        buckets = [np.unique(one % _BUCKETS).astype(np.int64) for one in features]
        column = np.concatenate(buckets)
        row = np.repeat(np.arange(len(buckets)), [len(one) for one in buckets])
        counts = np.bincount(column, minlength=_BUCKETS)
        rarity = np.log(len(buckets) / np.maximum(counts, 1))
        lengths = np.maximum(np.sqrt(np.bincount(row, weights=rarity[column] ** 2)), 1e-6)
        order = np.argsort(column, kind="stable")
        starts = np.concatenate(([0], np.cumsum(counts)))
        rarest_first = [one[np.argsort(counts[one], kind="stable")] for one in buckets]
        return cls(rarest_first, lengths, rarity, starts, row[order], (rarity[column] / lengths[row])[order])

    def likeness(self, place: int, *, roughly: bool = False) -> NDArray[np.float64]:
        """Returns the cosine of one phrasing with each; -1 for itself.

        `roughly` leaves out frequent features, and is at most `_LEFT_OUT` less (after Bayardo, Ma, Srikant:
        Scaling Up All Pairs Similarity Search, WWW 2007).
        """
        buckets = self.buckets[place]
        spans = [slice(self.starts[one], self.starts[one + 1]) for one in buckets]
        own = self.rarity[buckets] / self.lengths[place]
        used = len(own)
        if roughly:
            rest = np.sqrt(np.maximum(1 - np.cumsum(own**2), 0))
            used = int(np.searchsorted(-rest, -_LEFT_OUT)) + 1
        spans, own = spans[:used], own[:used]
        sums = np.bincount(
            np.concatenate([self.rows[one] for one in spans]),
            weights=np.concatenate([self.weights[one] * by for one, by in zip(spans, own, strict=True)]),
            minlength=len(self.buckets),
        )
        found = sums.astype(np.float64)
        found[place] = -1
        return found


def too_near(examples: Sequence[Example]) -> Iterator[Near]:
    """Yields phrasings that are much like one of another tool, and less like any of their own intent."""
    for language in sorted({one.language for one in examples}):
        some = [one for one in examples if one.language == language and one.text.strip()]
        index = _Index.of(some)
        tools = np.unique([one.intent.partition(".")[0] for one in some], return_inverse=True)[1]
        intents = np.unique([one.intent for one in some], return_inverse=True)[1]
        for place, example in enumerate(some):
            rough = index.likeness(place, roughly=True)
            if not np.any(tools[rough >= TOO_NEAR - _LEFT_OUT] != tools[place]):
                continue
            alike = index.likeness(place)
            others = np.where(tools == tools[place], -1, alike)
            other = int(others.argmax())
            own = float(alike[intents == intents[place]].max())
            if others[other] >= TOO_NEAR and others[other] > own + MARGIN:
                yield Near(example, some[other], float(others[other]), own)


def allowances() -> Mapping[frozenset[str], int]:
    """Returns how many phrasings of two intents may be near to each other."""
    data = read_yaml(ALLOWED) or {}
    return {frozenset(pair.split(" and ")): int(most) for pair, most in data.items()}


def excess(found: Sequence[Near]) -> list[Near]:
    """Returns what the allow-list does not have."""
    counts, most = Counter(one.pair for one in found), allowances()
    return [one for one in found if counts[one.pair] > most.get(one.pair, 0)]


def tool_examples() -> Sequence[Example]:
    """Returns the phrasings beside the tools: those of strangers may be anything."""
    return read_corpus([path for path in corpus_files() if path.parent.name != VARIED]).examples


def main() -> None:
    found = list(too_near(tool_examples()))
    for one in sorted(excess(found), key=lambda one: -one.likeness):
        print(f"{one.likeness:.2f} (own {one.own:.2f}) {one.example.intent}: {one.example.text!r}")
        print(f"     {one.other.intent}: {one.other.text!r}")
    print(f"{len(found)} too near, {len(excess(found))} of them not allowed")


if __name__ == "__main__":
    main()
