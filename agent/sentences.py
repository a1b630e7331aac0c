"""The example sentences of the grammar, read without the grammar itself: a shell that completes one waits."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Reads plain values only, like `yaml.safe_load`, in a tenth of its time where libyaml is there."""


def example_sentences() -> list[str]:
    """Return every example, in the order of the grammar's files."""
    found: list[str] = []
    for path in sorted(Path(str(files("agent") / "grammar")).glob("*.yaml")):
        found += _examples(yaml.load(path.read_text(encoding="utf-8"), LOADER))  # noqa: S506
    return found


def _examples(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from node.get("examples", ())
        for inner in node.values():
            yield from _examples(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _examples(inner)
