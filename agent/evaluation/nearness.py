"""Finds phrasings nearer to another tool's than to their own: `python -m agent.evaluation.nearness`.

Each is compared with all others of its language, as a bag of words, pairs and n-grams weighted by rarity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import yaml
from numpy.typing import NDArray

from agent.evaluation.cases import FOLDER
from agent.sentences import LOADER
from agent.understanding.classifier import hashes, word_features
from agent.understanding.corpus import Example, read_corpus
from agent.understanding.training import training_sentence

ALLOWED = FOLDER / "near.yaml"
TOO_NEAR = 0.75
MARGIN = 0.1
_BUCKETS = 4096
_ROWS = 256


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


def vectors(examples: Sequence[Example]) -> NDArray[np.float32]:
    """Returns a unit vector for each phrasing; rare features count more."""
    found = [hashes(word_features(training_sentence(one, None).words())) % _BUCKETS for one in examples]
    counts = Counter(int(bucket) for one in found for bucket in set(one.tolist()))
    rarity = np.array([np.log(len(found) / (counts[bucket] or 1)) for bucket in range(_BUCKETS)], np.float32)
    table = np.zeros((len(found), _BUCKETS), np.float32)
    for row, buckets in enumerate(found):
        table[row, buckets] = rarity[buckets]
    lengths: NDArray[np.float32] = np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-6)
    table /= lengths
    return table


def too_near(examples: Sequence[Example]) -> Iterator[Near]:
    """Yields phrasings that are much like one of another tool, and less like any of their own intent."""
    for language in sorted({one.language for one in examples}):
        some = [one for one in examples if one.language == language and one.text.strip()]
        table = vectors(some)
        tools = np.array([one.intent.partition(".")[0] for one in some])
        intents = np.array([one.intent for one in some])
        for start in range(0, len(some), _ROWS):
            likeness = table[start : start + _ROWS] @ table.T
            for row, alike in enumerate(likeness):
                place = start + row
                alike[place] = -1
                other = int(np.where(tools == tools[place], -1, alike).argmax())
                own = float(np.where(intents == intents[place], alike, -1).max())
                if alike[other] >= TOO_NEAR and tools[other] != tools[place] and alike[other] > own + MARGIN:
                    yield Near(some[place], some[other], float(alike[other]), own)


def allowances() -> Mapping[frozenset[str], int]:
    """Returns how many phrasings of two intents may be near to each other."""
    data = yaml.load(ALLOWED.read_text(encoding="utf-8"), LOADER) or {}  # noqa: S506
    return {frozenset(pair.split(" and ")): int(most) for pair, most in data.items()}


def excess(found: Sequence[Near]) -> list[Near]:
    """Returns what the allow-list does not have."""
    counts, most = Counter(one.pair for one in found), allowances()
    return [one for one in found if counts[one.pair] > most.get(one.pair, 0)]


def main() -> None:
    found = list(too_near(read_corpus().examples))
    for one in sorted(excess(found), key=lambda one: -one.likeness):
        print(f"{one.likeness:.2f} (own {one.own:.2f}) {one.example.intent}: {one.example.text!r}")
        print(f"     {one.other.intent}: {one.other.text!r}")
    print(f"{len(found)} too near, {len(excess(found))} of them not allowed")


if __name__ == "__main__":
    main()
