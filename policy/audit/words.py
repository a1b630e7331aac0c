"""Words beside a line of the audit log: the chain holds a salted hash of them, and they can be forgotten."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from policy.audit.chain import link

FORGOTTEN = "(forgotten)"
"""What a reader finds in the place of words that were forgotten, here and wherever else they stood."""
SPOILT = "(spoilt)"
WORDS = "words"
"""Where the chained part of a line holds the hashes of the words beside it, by their names."""
_SALT_BYTES = 16


def beside(words: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The words as they stand beside a line, each with a salt: without it, nobody can try out a guess."""
    return {name: {"salt": secrets.token_hex(_SALT_BYTES), "text": text} for name, text in words.items()}


def hashes(kept: Mapping[str, Any]) -> dict[str, str]:
    """What the chained part of the line says of them."""
    return {name: link([word["salt"], word["text"]]) for name, word in kept.items()}


def read(data: Mapping[str, Any], kept: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a line tells, with its words or the mark in the place of their hashes."""
    told = {name: value for name, value in data.items() if name != WORDS}
    for name in data.get(WORDS) or {}:
        told[name] = FORGOTTEN if kept is None else _text(kept.get(name))
    return told


def _text(word: Any) -> str:
    """Who may write to the database can spoil words: the log is still read, and `verify` says so."""
    return str(word["text"]) if isinstance(word, Mapping) and "text" in word else SPOILT


def fit(data: Mapping[str, Any], kept: Mapping[str, Any] | None) -> bool:
    """Whether the words beside a line are those that its hashes are of; also when they are forgotten."""
    if kept is None:
        return True
    try:
        return hashes(kept) == data.get(WORDS)
    except (KeyError, TypeError):
        return False
