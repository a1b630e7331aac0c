"""Words beside a line of the audit log: the chain holds a salted hash of them, and they can be forgotten."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from policy.audit.chain import link

FORGOTTEN = "(forgotten)"
"""Stands in the place of words that were forgotten, here and wherever else they stood."""
SPOILT = "(spoilt)"
WORDS = "words"
"""Where the chained part of a line holds the hashes of the words beside it, by their names."""
_SALT_BYTES = 16


def beside(words: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The words as they stand beside a line, each with a salt: without it, nobody can try out a guess."""
    return {name: {"salt": secrets.token_hex(_SALT_BYTES), "text": text} for name, text in words.items()}


def hashes(stored: Mapping[str, Any]) -> dict[str, str]:
    """Returns the hashes that the chained part of the line holds of them."""
    return {name: link([word["salt"], word["text"]]) for name, word in stored.items()}


def read(data: Mapping[str, Any], stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns the fields of a line, with its words or a mark in the place of their hashes."""
    facts = {name: value for name, value in data.items() if name != WORDS}
    for name in data.get(WORDS) or {}:
        facts[name] = FORGOTTEN if stored is None else _text(stored.get(name))
    return facts


def _text(word: Any) -> str:
    """Returns the text of a word, or a mark where somebody has damaged it in the database; `verify` reports
    it.
    """
    return str(word["text"]) if isinstance(word, Mapping) and "text" in word else SPOILT


def fit(data: Mapping[str, Any], stored: Mapping[str, Any] | None) -> bool:
    """Returns whether the words of a line match its hashes; True too when they are erased."""
    if stored is None:
        return True
    try:
        return hashes(stored) == data.get(WORDS)
    except (KeyError, TypeError):
        return False
