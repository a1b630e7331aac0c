"""Texts from outside as every database stores them; used where the words of tools and models are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

REPLACED = "\N{REPLACEMENT CHARACTER}"
T = TypeVar("T")


def storable(value: T) -> T:
    """The same value with U+FFFD for each U+0000 in it, names of fields included.

    PostgreSQL refuses U+0000 in a text, takes it in JSON, and then refuses to read that JSON.
    """
    return cast(T, _storable(value))


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", REPLACED) if "\0" in value else value
    if isinstance(value, Mapping):
        return {_storable(name): _storable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(inner) for inner in value]
    return value
