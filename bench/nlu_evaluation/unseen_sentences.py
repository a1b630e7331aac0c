"""Reads the sentences of `unseen/`: the reader learns from none of them."""

from __future__ import annotations

from collections.abc import Iterator

from agent.sentences import read_folder
from agent.understanding.corpus import Example, parse_example
from bench.nlu_evaluation.cases import FOLDER


def unseen() -> Iterator[Example]:
    """Yields the sentences of both languages."""
    for language, found in read_folder(FOLDER / "unseen").items():
        for intent, sentences in found.items():
            yield from (parse_example(intent, language, one) for one in sentences)
