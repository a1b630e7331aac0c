"""Takes words that are forgotten out of plans, arguments and outcomes; used by the service of approvals."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

FORGOTTEN = "(forgotten)"
_TELLING_CHARS = 200
"""So much of a text is looked for: plans cut what is long."""


def says(value: Any, texts: Collection[str]) -> bool:
    """Whether any of the texts stands in a string within the value."""
    return bool(without(value, texts) != value)


def without(value: Any, texts: Collection[str]) -> Any:
    """The same value, with `(forgotten)` in the place of each string that holds one of the texts."""
    if isinstance(value, str):
        said = _plain(value)
        wanted = (_plain(text)[:_TELLING_CHARS] for text in texts)
        return FORGOTTEN if any(text and text in said for text in wanted) else value
    if isinstance(value, Mapping):
        return {name: without(inner, texts) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without(inner, texts) for inner in value]
    return value


def _plain(text: str) -> str:
    return " ".join(text.split())
