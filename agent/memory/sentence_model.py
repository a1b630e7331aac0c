"""all-MiniLM-L6-v2 in NumPy: a sentence becomes 384 numbers whose directions agree where meanings do.

A BERT encoder (Devlin et al. 2018: post-norm layers, GELU, learned positions) with six layers of 384 and
twelve heads, mean pooling over the word pieces and L2 normalisation, as its model card describes.
tests/agent/test_sentence_model.py compares it with the figures of the reference implementation.
"""

from __future__ import annotations

import json
import mmap
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from agent.memory.sentence_files import verify_folder

Array = NDArray[np.float32]

NAME = "all-MiniLM-L6-v2"
DIMENSIONS = 384
LAYERS = 6
HEADS = 12
LONGEST_PIECES = 256
"""What the model was made for (`max_seq_length`); the rest of a longer text is not looked at."""
AT_ONCE = 32
EPSILON = np.float32(1e-12)


CLS, SEP, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
LONGEST_WORD = 100
"""A longer word is one unknown piece."""
_CHINESE = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPieces:
    """Cuts a sentence into the word pieces of BERT's uncased vocabulary. Immutable after loading.

    WordPiece as in Devlin et al. 2018 with the rules of its reference tokenizer: control characters go, white
    space is joined, Chinese characters stand alone, accents and capitals go, punctuation stands alone; each
    word is then covered by the longest pieces of the vocabulary, from its beginning to its end.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._numbers = vocabulary

    @classmethod
    def load(cls, path: Path) -> WordPieces:
        """From a `vocab.txt`: one piece per line, numbered from 0."""
        lines = path.read_text(encoding="utf-8").split("\n")
        return cls({piece: number for number, piece in enumerate(lines) if piece})

    def number(self, piece: str) -> int:
        """The number of one piece of the vocabulary."""
        return self._numbers[piece]

    def numbers_of(self, text: str) -> list[int]:
        """The numbers of all pieces, without marks."""
        return [number for word in _words(text) for number in self._covered(word)]

    def numbers(self, text: str, limit: int) -> list[int]:
        """The numbers of at most `limit` pieces, with the marks of beginning and end; the rest is cut off."""
        pieces: list[int] = []
        for word in _words(text):
            pieces += self._covered(word)
            if len(pieces) >= limit - 2:
                break
        return [self._numbers[CLS], *pieces[: limit - 2], self._numbers[SEP]]

    def _covered(self, word: str) -> list[int]:
        if len(word) > LONGEST_WORD:
            return [self._numbers[UNKNOWN]]
        found: list[int] = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                number = self._numbers.get(("##" if start else "") + word[start:end])
                if number is not None:
                    found.append(number)
                    start = end
                    break
            else:
                return [self._numbers[UNKNOWN]]
        return found


def _words(text: str) -> Iterator[str]:
    spaced = "".join(_spaced(char) for char in text)
    for word in spaced.split():
        plain = unicodedata.normalize("NFD", word.lower())
        letters = (char for char in plain if unicodedata.category(char) != "Mn")
        for stands_alone, some in groupby(letters, _is_punctuation):
            part = "".join(some)
            yield from part if stands_alone else (part,)


def _spaced(char: str) -> str:
    code = ord(char)
    if char in "\t\n\r" or unicodedata.category(char) == "Zs":
        return " "
    if code in (0, 0xFFFD) or unicodedata.category(char).startswith("C"):
        return ""
    return f" {char} " if any(first <= code <= last for first, last in _CHINESE) else char


def _is_punctuation(char: str) -> bool:
    # ASCII's symbols count too, although Unicode calls some of them otherwise: $ ^ ` and the like.
    code = ord(char)
    symbol = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return symbol or unicodedata.category(char).startswith("P")


class Layers:
    """The layers of the model over given weights, by their published names."""

    def __init__(self, weights: Mapping[str, Array], count: int = LAYERS) -> None:
        self._weights = weights
        self._count = count

    def states(
        self, numbers: Sequence[Sequence[int]], added: Sequence[Array] | None = None
    ) -> tuple[Array, Array]:
        """Returns the last states (texts, pieces, 384), and a mask (texts, pieces): 0 for padding.

        `added`: for each text, vectors (pieces, 384) that are added to those of its words.
        """
        longest = max(map(len, numbers))
        tokens = np.zeros((len(numbers), longest), dtype=np.int64)
        mask = np.zeros((len(numbers), longest), dtype=np.float32)
        for row, some in enumerate(numbers):
            tokens[row, : len(some)] = some
            mask[row, : len(some)] = 1
        embedded = self._embedded(tokens)
        for row, vectors in enumerate(added or ()):
            embedded[row, : len(vectors)] += vectors
        states = self._normed("embeddings.LayerNorm", embedded)
        # (texts, 1, 1, pieces): what is padding gets no attention.
        attention_bias = ((1 - mask) * np.float32(-1e9))[:, None, None, :]
        for layer in range(self._count):
            states = self._layer(f"encoder.layer.{layer}", states, attention_bias)
        return states, mask

    def _embedded(self, tokens: NDArray[np.int64]) -> Array:
        words = self._weights["embeddings.word_embeddings.weight"][tokens]
        places = self._weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        kind = self._weights["embeddings.token_type_embeddings.weight"][0]
        summed: Array = words + places + kind
        return summed

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
        inner = gelu(self._dense(f"{name}.intermediate.dense", states))
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


class SentenceModel:
    """The loaded model: 90 MB of weights, mapped from their file. Processes and threads share them."""

    def __init__(self, pieces: WordPieces, weights: Mapping[str, Array]) -> None:
        self._pieces = pieces
        self._layers = Layers(weights)
        self._threads = ThreadpoolController()

    @classmethod
    def load(cls) -> SentenceModel:
        """From the installed package, whose code is not run.

        Raises Unavailable when it is not installed, or when its files are not the published ones.
        """
        return cls(*load_published())

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
                states = self._layers.states([numbers[place] for place in places])
                found[places] = unit(mean_state(*states))
        return found


def load_published() -> tuple[WordPieces, dict[str, Array]]:
    """Returns the vocabulary and the weights of the installed package.

    Raises Unavailable when it is not installed, or when its files are not the published ones.
    """
    folder = verify_folder()
    return WordPieces.load(folder / "vocab.txt"), _mapped(folder / "model.safetensors")


def mean_state(states: Array, mask: Array) -> Array:
    """Returns the mean over the pieces of each text: (texts, 384)."""
    mean: Array = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    return mean


def unit(vectors: Array) -> Array:
    """Returns the vectors with length 1."""
    scaled: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Array = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def gelu(x: Array) -> Array:
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


def release_pages(weights: Mapping[str, Array]) -> None:
    """Lets go of the pages of mapped weights that were read; what is read again comes from the file."""
    for one in weights.values():
        mapped = getattr(one, "_mmap", None)
        if isinstance(mapped, mmap.mmap):
            # All weights are in one mapping.
            mapped.madvise(mmap.MADV_DONTNEED)
            return
