"""all-MiniLM-L6-v2 in NumPy: a sentence becomes 384 numbers whose directions agree where meanings do.

A BERT encoder (Devlin et al. 2018: post-norm layers, GELU, learned positions) with six layers of 384 and
twelve heads, mean pooling over the word pieces and L2 normalisation, as its model card describes.
tests/agent/test_sentence_model.py compares it with the figures of the reference implementation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from agent.memory.sentence_files import verify_folder
from agent.memory.word_pieces import WordPieces

Array = NDArray[np.float32]

NAME = "all-MiniLM-L6-v2"
DIMENSIONS = 384
LAYERS = 6
HEADS = 12
LONGEST_PIECES = 256
"""What the model was made for (`max_seq_length`); the rest of a longer text is not looked at."""
AT_ONCE = 32
EPSILON = np.float32(1e-12)


class SentenceModel:
    """The loaded model: 90 MB of weights, mapped from their file. Processes and threads share them."""

    def __init__(self, pieces: WordPieces, weights: Mapping[str, Array]) -> None:
        self._pieces = pieces
        self._weights = weights
        self._threads = ThreadpoolController()

    @classmethod
    def load(cls) -> SentenceModel:
        """From the installed package, whose code is not run.

        Raises Unavailable when it is not installed, or when its files are not the published ones.
        """
        folder = verify_folder()
        return cls(WordPieces.load(folder / "vocab.txt"), _mapped(folder / "model.safetensors"))

    def encode(self, texts: Sequence[str]) -> Array:
        """One unit vector per text: float32, (len(texts), 384). The cosine of two texts is their product."""
        found = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        numbers = [self._pieces.numbers(text, LONGEST_PIECES) for text in texts]
        # Texts of like length go together: padding costs as much as words do.
        order = sorted(range(len(texts)), key=lambda place: len(numbers[place]))
        for start in range(0, len(order), AT_ONCE):
            places = order[start : start + AT_ONCE]
            # Sentences are small: a second thread of the BLAS costs more than it gives.
            with self._threads.limit(limits=1):
                found[places] = self._encode_some([numbers[place] for place in places])
        return found

    def _encode_some(self, numbers: Sequence[Sequence[int]]) -> Array:
        longest = max(map(len, numbers))
        tokens = np.zeros((len(numbers), longest), dtype=np.int64)
        mask = np.zeros((len(numbers), longest), dtype=np.float32)
        for row, some in enumerate(numbers):
            tokens[row, : len(some)] = some
            mask[row, : len(some)] = 1
        states = self._embedded(tokens)
        # (texts, 1, 1, pieces): what is padding gets no attention.
        attention_bias = ((1 - mask) * np.float32(-1e9))[:, None, None, :]
        for layer in range(LAYERS):
            states = self._layer(f"encoder.layer.{layer}", states, attention_bias)
        summed = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        unit: Array = summed / np.linalg.norm(summed, axis=1, keepdims=True)
        return unit

    def _embedded(self, tokens: NDArray[np.int64]) -> Array:
        words = self._weights["embeddings.word_embeddings.weight"][tokens]
        places = self._weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        kind = self._weights["embeddings.token_type_embeddings.weight"][0]
        return self._normed("embeddings.LayerNorm", words + places + kind)

    def _layer(self, name: str, states: Array, attention_bias: Array) -> Array:
        """(texts, pieces, 384) to the same."""
        texts, pieces, width = states.shape

        def heads(part: str) -> Array:
            projected = self._dense(f"{name}.attention.self.{part}", states)
            return projected.reshape(texts, pieces, HEADS, width // HEADS).transpose(0, 2, 1, 3)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // HEADS)) + attention_bias
        mixed = (_softmax(scores) @ value).transpose(0, 2, 1, 3).reshape(texts, pieces, width)
        attended = self._dense(f"{name}.attention.output.dense", mixed)
        states = self._normed(f"{name}.attention.output.LayerNorm", states + attended)
        inner = _gelu(self._dense(f"{name}.intermediate.dense", states))
        return self._normed(f"{name}.output.LayerNorm", states + self._dense(f"{name}.output.dense", inner))

    def _dense(self, name: str, states: Array) -> Array:
        weight = self._weights[f"{name}.weight"]
        # One product of two matrices: NumPy multiplies a stack of small ones far more slowly.
        flat = states.reshape(-1, states.shape[-1]) @ weight.T + self._weights[f"{name}.bias"]
        return flat.reshape(*states.shape[:-1], weight.shape[0])

    def _normed(self, name: str, states: Array) -> Array:
        centred = states - states.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPSILON)
        normed: Array = centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return normed


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Array = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def _gelu(x: Array) -> Array:
    """x·Φ(x), with erf after Abramowitz and Stegun, 7.1.26 (off by less than 1.5e-7)."""
    scaled = x * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * np.abs(scaled))
    series: Array = np.zeros_like(x)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + np.float32(factor)) * t
    erf = np.sign(scaled) * (1 - series * np.exp(-scaled * scaled))
    curved: Array = np.float32(0.5) * x * (1 + erf)
    return curved


def _mapped(path: Path) -> dict[str, Array]:
    """The tensors of a safetensors file: the length of a JSON header in 8 bytes, the header, the numbers.

    Its SHA-256 has been checked, so nothing in it is doubted here.
    """
    content = np.memmap(path, dtype=np.uint8, mode="r")
    start = 8 + int(content[:8].view("<u8")[0])
    header = json.loads(content[8:start].tobytes())
    return {
        name: content[slice(*(start + offset for offset in about["data_offsets"]))]
        .view(np.float32)
        .reshape(about["shape"])
        for name, about in header.items()
        if about.get("dtype") == "F32"
    }
