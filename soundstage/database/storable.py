"""Texts from outside as every database stores them; used where the words of tools and models are kept."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast

REPLACED = "\N{REPLACEMENT CHARACTER}"
MAX_DEPTH = 64
"""Deeper JSON is stored, and then the writer of answers takes it for one that holds itself."""
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
T = TypeVar("T")


def storable(value: T) -> T:
    """The same value with U+FFFD for each U+0000 and each half of a surrogate pair in it, names of fields
    included.

    PostgreSQL refuses U+0000 in a text, takes it in JSON, and then refuses to read that JSON. A half pair can
    be stored as JSON and never be sent back as UTF-8.
    """
    return cast(T, _storable(value))


def why_unstorable(value: Any, depth: int = 0) -> str | None:
    """Return what in a JSON value could be stored, and then break every answer that shows it; None for a
    value that is well.
    """
    if depth > MAX_DEPTH:
        return f"it is nested more than {MAX_DEPTH} deep"
    if isinstance(value, str):
        return "it holds U+0000, or half a surrogate pair" if _NO_TEXT.search(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "it holds a number that is not finite"
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple):
        return next((why for one in value if (why := why_unstorable(one, depth + 1)) is not None), None)
    return None


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _NO_TEXT.sub(REPLACED, value)
    if isinstance(value, Mapping):
        return {_storable(name): _storable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(inner) for inner in value]
    return value
