"""A linear classifier over word and character n-grams: softmax regression, trained by AdaGrad.

Duchi, Hazan, Singer: Adaptive Subgradient Methods for Online Learning and Stochastic Optimization, JMLR 2011.
The weights are the mean of those after each of the later epochs (Polyak, Juditsky: Acceleration of Stochastic
Approximation by Averaging, SIAM 1992): the last ones alone depend on the order of the samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

EPOCHS = 12
RATE = 0.4
DECAY = 1e-6
FIRST_AVERAGED = 1 / 3
"""The share of the epochs whose weights are not in the mean."""


def word_features(words: Sequence[str]) -> set[str]:
    """Returns the features of a sentence: words, pairs of words, and character n-grams inside words."""
    found = {"^" + (words[0] if words else ""), "$" + (words[-1] if words else "")}
    for place, word in enumerate(words):
        found.add("w" + word)
        if place:
            found.add(f"b{words[place - 1]} {word}")
        if place > 1:
            found.add(f"s{words[place - 2]} {word}")
        if word[0] != "<":
            padded = f"_{word}_"
            for size in (3, 4, 5):
                found.update(padded[start : start + size] for start in range(len(padded) - size + 1))
    return found


def hashes(features: set[str]) -> NDArray[np.uint32]:
    return np.array(sorted(crc32(one.encode()) for one in features), np.uint32)


@dataclass(frozen=True, slots=True)
class Classifier:
    """`known` are the hashed features, sorted; `weights` has a row for each and a column for each label."""

    labels: tuple[str, ...]
    known: NDArray[np.uint32]
    weights: NDArray[np.float16]

    def probabilities(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Returns the probability of each label, in the order of `labels`."""
        return softmax(self.scores(hashes(word_features(words))))

    def scores(self, found: NDArray[np.uint32]) -> NDArray[np.float32]:
        rows = rows_of(self.known, found)
        total: NDArray[np.float32] = self.weights[rows].sum(axis=0, dtype=np.float32)
        scaled: NDArray[np.float32] = total / np.float32(max(1.0, len(found) ** 0.5))
        return scaled

    def arrays(self, prefix: str) -> Mapping[str, NDArray[np.generic]]:
        """Returns what `load` needs, by name, for a file."""
        labels = np.array(self.labels)
        return {f"{prefix}_labels": labels, f"{prefix}_known": self.known, f"{prefix}_weights": self.weights}

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[np.generic]], prefix: str) -> Classifier:
        labels = tuple(str(label) for label in arrays[f"{prefix}_labels"])
        known = arrays[f"{prefix}_known"].astype(np.uint32)
        return cls(labels, known, arrays[f"{prefix}_weights"].astype(np.float16))


def rows_of(known: NDArray[np.uint32], found: NDArray[np.uint32]) -> Rows:
    """Returns the rows of the features that are known."""
    places = np.searchsorted(known, found)
    places[places == len(known)] = 0
    rows: Rows = places[known[places] == found]
    return rows


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(scores - scores.max())
    result: NDArray[np.float32] = powers / powers.sum()
    return result


def train(samples: Sequence[tuple[Sequence[str], str]], *, epochs: int = EPOCHS, seen: int = 2) -> Classifier:
    """Returns a classifier of sentences (words, label)."""
    return train_features(
        [(word_features(words), label) for words, label in samples], epochs=epochs, seen=seen
    )


def train_features(
    samples: Sequence[tuple[set[str], str]], *, epochs: int = EPOCHS, seed: int = 7, seen: int = 2
) -> Classifier:
    """Returns a classifier of samples (features, label), without features of less than `seen` samples."""
    labels = tuple(sorted({label for _, label in samples}))
    number = {label: place for place, label in enumerate(labels)}
    found = [hashes(features) for features, _ in samples]
    known, counts = np.unique(np.concatenate(found), return_counts=True)
    known = known[counts >= seen]
    rows = [rows_of(known, one) for one in found]
    scale = [1 / max(1.0, float(np.sqrt(len(one)))) for one in found]
    weights = np.zeros((len(known), len(labels)), np.float32)
    squares = np.full((len(known), len(labels)), 1e-2, np.float32)
    total_weights = np.zeros_like(weights)
    skipped = int(epochs * FIRST_AVERAGED)
    order = np.random.default_rng(seed)
    for epoch in range(epochs):
        for sample in order.permutation(len(samples)):
            at = rows[sample]
            before = weights[at]
            slope = softmax(before.sum(axis=0) * scale[sample])
            slope[number[samples[sample][1]]] -= 1
            step = slope * np.float32(scale[sample]) + np.float32(DECAY) * before
            total = squares[at] + step * step
            squares[at] = total
            weights[at] = before - np.float32(RATE) * step / np.sqrt(total)
        if epoch >= skipped:
            total_weights += weights
    return Classifier(labels, known, (total_weights / (epochs - skipped)).astype(np.float16))
