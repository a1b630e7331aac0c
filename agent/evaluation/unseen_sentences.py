"""Reads the sentences of `unseen/`: the n-grams learn from none of them, the encoder from half."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import yaml

from agent.evaluation.cases import FOLDER
from agent.sentences import LOADER
from agent.understanding.corpus import Example, parse_example


def unseen(*, learned: bool | None = None) -> Iterator[Example]:
    """Yields the sentences of both languages; with `learned`, those of the encoder's half or of the other."""
    for path in sorted((FOLDER / "unseen").glob("*.yaml")):
        found = yaml.load(path.read_text(encoding="utf-8"), LOADER)  # noqa: S506
        for intent, sentences in found.items():
            for one in sentences:
                example = parse_example(intent, path.stem, one)
                if learned is None or is_learned(example.text) is learned:
                    yield example


def is_learned(text: str) -> bool:
    """Returns whether the encoder learns from a sentence: where its SHA-256 begins with an even byte."""
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 0
