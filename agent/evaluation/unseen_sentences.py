"""Reads the sentences of `unseen/`: the reader learns from none of them."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from agent.evaluation.cases import FOLDER
from agent.sentences import LOADER
from agent.understanding.corpus import Example, parse_example


def unseen() -> Iterator[Example]:
    """Yields the sentences of both languages."""
    for path in sorted((FOLDER / "unseen").glob("*.yaml")):
        found = yaml.load(path.read_text(encoding="utf-8"), LOADER)  # noqa: S506
        for intent, sentences in found.items():
            yield from (parse_example(intent, path.stem, one) for one in sentences)
