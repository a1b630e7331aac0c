"""Reads the YAML files of this package, and the grammar's examples without the grammar: completion waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Reads plain values only, like `yaml.safe_load`, in a tenth of its time where libyaml is there."""


def read_yaml(path: Path) -> Any:
    """Returns the content of a file of this package."""
    return yaml.load(path.read_text(encoding="utf-8"), LOADER)  # noqa: S506


def read_folder(folder: str | Path) -> dict[str, Any]:
    """Returns the content of each file of a folder by its stem, sorted by name; one of this package, unless
    its path is absolute.
    """
    return {path.stem: read_yaml(path) for path in sorted((Path(__file__).parent / folder).glob("*.yaml"))}


def example_sentences() -> list[str]:
    """Returns every example, in the order of the grammar's files."""
    return [one for content in read_folder("grammar").values() for one in _examples(content)]


def _examples(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from node.get("examples", ())
        for inner in node.values():
            yield from _examples(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _examples(inner)
