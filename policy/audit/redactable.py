"""Redactable text of an audit line: stored outside the hash, which covers a salted commitment to it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from policy.audit.chain import chain_hash

FORGOTTEN = "(forgotten)"
"""Replaces redacted text, here and wherever else it stood."""
SPOILT = "(spoilt)"
COMMITMENTS = "words"
"""The field of the hashed `data` that holds the commitments to the redactable texts, by name."""
_SALT_BYTES = 16


def detach(texts: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Returns the texts as they are stored outside the hash. Each has a salt, so that a guess cannot be
    confirmed.
    """
    return {name: {"salt": secrets.token_hex(_SALT_BYTES), "text": text} for name, text in texts.items()}


def commitments(stored: Mapping[str, Any]) -> dict[str, str]:
    """Returns the salted hashes of the texts, which the hashed part of the line holds."""
    return {name: chain_hash([text["salt"], text["text"]]) for name, text in stored.items()}


def render(data: Mapping[str, Any], stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns the fields of a line, with its texts, or a mark, in the place of their commitments."""
    facts = {name: value for name, value in data.items() if name != COMMITMENTS}
    for name in data.get(COMMITMENTS) or {}:
        facts[name] = FORGOTTEN if stored is None else _text(stored.get(name))
    return facts


def _text(stored: Any) -> str:
    """Returns a stored text, or a mark where the row was damaged; `verify` reports that."""
    return str(stored["text"]) if isinstance(stored, Mapping) and "text" in stored else SPOILT


def matches(data: Mapping[str, Any], stored: Mapping[str, Any] | None) -> bool:
    """Returns whether the texts of a line match its commitments; True too when they are redacted."""
    if stored is None:
        return True
    try:
        return commitments(stored) == data.get(COMMITMENTS)
    except (KeyError, TypeError):
        return False
