"""The sentence model of the memory, trained on the corpus: intents and arguments from the same states.

Its first layers with low-rank updates (Hu et al.: LoRA, 2021) that `encoder.npz` holds, so that the file is
small and the weights stay those of the published package. `scripts/train_encoder` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from agent.memory import sentence_files
from agent.memory.sentence_model import (
    Array,
    Layers,
    WordPieces,
    gelu,
    load_published,
    mean_state,
    release_pages,
)
from agent.understanding.classifier import softmax
from agent.understanding.encoder_input import EncoderInput, encoder_input
from agent.understanding.sentence import Sentence
from agent.understanding.tagger import OUTSIDE
from soundstage.errors import SoundstageError
from soundstage.telemetry import get_logger

RECENT = 64
"""Sentences whose results are ready: one answer reads a sentence several times."""
FILE = Path(__file__).with_name("encoder.npz")

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EncoderOutput:
    """Holds what the encoder makes of one sentence. `probabilities`: of each of its intents; `inner`: what
    it knows of each token without an intent, (tokens, 256), zeros for what was cut off.
    """

    probabilities: NDArray[np.float32]
    inner: Array
    goes_on: NDArray[np.bool_]
    """The tokens of a name behind its first: the encoder sees one word for all of them."""


class SentenceEncoder:
    """The trained model. Threads may share it."""

    def __init__(
        self, vocabulary: WordPieces, weights: Mapping[str, Array], trained: Mapping[str, Any]
    ) -> None:
        words = json.loads(bytes(trained["words"]))
        self.intents: tuple[str, ...] = tuple(words["intents"])
        self.tags: tuple[str, ...] = tuple(words["tags"])
        self._vocabulary = vocabulary
        self._heads = {
            name: np.asarray(value, np.float32) for name, value in trained.items() if name != "words"
        }
        self._layers = Layers(add_updates(weights, self._heads, words["layers"]), words["layers"])
        self._threads = ThreadpoolController()
        self._recent: dict[EncoderInput, EncoderOutput] = {}

    def read(self, sentences: Sequence[Sentence]) -> list[EncoderOutput]:
        """Returns what the sentences probably ask for, and what each of their tokens may be."""
        inputs = [encoder_input(one, self._vocabulary) for one in sentences]
        found = {one: self._recent[one] for one in inputs if one in self._recent}
        new = [one for one in dict.fromkeys(inputs) if one not in found]
        found |= zip(new, self._encode(new) if new else (), strict=True)
        self._recent = found if len(self._recent) > RECENT else self._recent | found
        return [found[one] for one in inputs]

    def _encode(self, inputs: Sequence[EncoderInput]) -> Iterator[EncoderOutput]:
        # Sentences are small: a second thread of the BLAS costs more than it gives.
        with self._threads.limit(limits=1):
            states, mask = self._layers.states(
                [one.pieces for one in inputs], [self._heads["marks"][np.array(one.marks)] for one in inputs]
            )
            scores = mean_state(states, mask) @ self._heads["intents"].T + self._heads["intents.bias"]
            inner = states @ self._heads["inner"].T + self._heads["inner.bias"]
        for row, one in enumerate(inputs):
            first = np.array(one.first, np.int64)
            of_tokens = np.where((first >= 0)[:, None], inner[row, first], np.float32(0))
            goes_on = (first >= 0) & (first == np.concatenate([[-1], first[:-1]]))
            yield EncoderOutput(softmax(scores[row]), of_tokens, goes_on)

    def intents_as(
        self, labels: Sequence[str], encoded: EncoderOutput, otherwise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Returns the probabilities in the order of `labels`; `otherwise` has those of unknown intents."""
        known = self._places(tuple(labels), self.intents)
        return np.where(known >= 0, encoded.probabilities[known], otherwise)

    @cached_property
    def _begin_and_inside(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the places of the tags for the first word of each argument, and of those for the others."""
        slots = [one[2:] for one in self.tags if one.startswith("B-")]
        begins, inside = ([self.tags.index(f"{mark}-{slot}") for slot in slots] for mark in "BI")
        return np.array(begins, np.int64), np.array(inside, np.int64)

    @staticmethod
    @cache
    def _places(names: tuple[str, ...], present: tuple[str, ...]) -> NDArray[np.int64]:
        """Returns where each name stands; -1 for one that is not there."""
        return np.array([present.index(one) if one in present else -1 for one in names], np.int64)

    def tag_scores(self, encoded: EncoderOutput, intent: str, tags: Sequence[str]) -> Array:
        """Returns the score of each tag, (tokens, tags). Of an unknown tag it is that of no argument, and of
        an unknown intent all are zero.
        """
        places = self._places(tuple(tags), self.tags)
        if intent not in self.intents:
            return np.zeros((len(encoded.inner), len(tags)), np.float32)
        place = self.intents.index(intent)
        scale, shift = self._heads["inner.scales"][place], self._heads["inner.intents"][place]
        inner = gelu(encoded.inner * (1 + scale) + shift)
        with self._threads.limit(limits=1):
            scores: Array = inner @ self._heads["tags"].T + self._heads["tags.bias"]
        begins, inside = self._begin_and_inside
        names = np.ix_(encoded.goes_on, begins), np.ix_(encoded.goes_on, inside)
        both = scores[names[0]], scores[names[1]]
        scores[names[0]], scores[names[1]] = np.minimum(*both), np.maximum(*both)
        return np.where(places >= 0, scores[:, places], scores[:, [self.tags.index(OUTSIDE)]])


def add_updates(weights: Mapping[str, Array], trained: Mapping[str, Array], layers: int) -> dict[str, Array]:
    """Returns the weights of the first layers, each with the product of its two small matrices added."""
    result = dict(weights)
    for name in weights:
        if not name.startswith("encoder.layer.") or int(name.split(".")[2]) >= layers:
            continue
        if name in trained:
            result[name] = trained[name]
        if f"{name}.up" in trained:
            # In this order the product with a few words is a third faster.
            result[name] = np.asfortranarray(weights[name] + trained[f"{name}.up"] @ trained[f"{name}.down"])
    return result


@cache
def load_encoder() -> SentenceEncoder | None:
    """Returns the trained encoder, one for the process; None where the sentence model is not installed."""
    if not sentence_files.is_installed():
        return None
    try:
        vocabulary, weights = load_published()
        with np.load(FILE, allow_pickle=False) as file:
            encoder = SentenceEncoder(vocabulary, weights, {name: file[name] for name in file.files})
        # Of the layers it has copies with the updates.
        release_pages(weights)
        return encoder
    except (SoundstageError, OSError) as error:
        _log.warning("agent.encoder_not_loaded", error=str(error))
        return None
