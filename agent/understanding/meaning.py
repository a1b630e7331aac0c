"""Intents by the meaning of an English sentence: softmax regression over the sentence model of the memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Array]
"""Returns one unit vector per text."""

SHARE = 0.3
"""The exponent of its probabilities in the product with those of the n-grams; best of 0.3, 0.5 and 0.7."""
MOST_WORDS = 60
STEPS = 1500
BATCH = 2048
RATE = 0.1

_NAMES: Mapping[str, str] = {
    "<render>": "video",
    "<machine>": "machine",
    "<persona>": "presenter",
    "<project>": "project",
    "<text>": "something",
    "<n>": "five",
    "<N>": "many",
    "<scene>": "scene",
    "<job>": "job",
    "<snapshot>": "snapshot",
    "<playbook>": "playbook",
    "<project|render>": "project video",
    "<channel>": "channel",
    "<quality>": "1080p",
    "<time>": "noon",
    "<path>": "photo.jpg",
    "<id>": "id",
    "<hex>": "blue",
    "<run>": "run",
}


def text_of(words: Sequence[str]) -> str:
    """Returns words of the classifier as a text for the sentence model: names by what they name."""
    return " ".join(_NAMES.get(word, word.strip("<>")) for word in words[:MOST_WORDS])


@dataclass(frozen=True)
class Meaning:
    """`weights` is (dimensions + 1, labels), the last row the bias; the labels are those of the n-grams."""

    weights: Array

    @cached_property
    def _encode(self) -> Encode:
        from agent.memory.sentence_model import SentenceModel

        return SentenceModel.load().encode

    def combine(self, probabilities: Array, words: Sequence[str]) -> Array:
        """Returns the weighted geometric mean of the n-grams' probabilities and its own."""
        scores = self._encode([text_of(words)])[0] @ self.weights[:-1] + self.weights[-1]
        own = np.exp(scores - scores.max())
        product = probabilities ** (1 - SHARE) * (own / own.sum()) ** SHARE
        result: Array = product / product.sum()
        return result


def train(
    samples: Sequence[tuple[Sequence[str], str]],
    labels: Sequence[str],
    encode: Encode,
    *,
    steps: int = STEPS,
    seed: int = 7,
) -> Meaning:
    """Returns the regression, trained by Adam (Kingma, Ba: ICLR 2015) on mini-batches."""
    texts = [text_of(words) for words, _ in samples]
    unique = sorted(set(texts))
    place = {text: row for row, text in enumerate(unique)}
    vectors = encode(unique)[[place[text] for text in texts]]
    vectors = np.hstack([vectors, np.ones((len(vectors), 1), np.float32)])
    right = np.array([labels.index(label) for _, label in samples])
    chance = np.random.default_rng(seed)
    weights = np.zeros((vectors.shape[1], len(labels)), np.float32)
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, steps + 1):
        rows = chance.choice(len(right), min(BATCH, len(right)))
        scores = vectors[rows] @ weights
        slope = np.exp(scores - scores.max(axis=1, keepdims=True))
        slope /= slope.sum(axis=1, keepdims=True)
        slope[np.arange(len(rows)), right[rows]] -= 1
        gradient = vectors[rows].T @ slope / len(rows)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient * gradient
        weights -= RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return Meaning(weights.astype(np.float32))
