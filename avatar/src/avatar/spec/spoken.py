"""Checks that a text holds anything a voice can say; one rule for the script reader and its callers."""

from __future__ import annotations

import unicodedata

_SPOKEN = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "So", "Sm", "Sc"))
"""Unicode categories that are said: letters, numbers, symbols."""


def is_spoken(text: str) -> bool:
    """True with at least one letter, digit or symbol such as an emoji, % or +; voices say symbols by name."""
    return any(char in "%&@#" or unicodedata.category(char) in _SPOKEN for char in text)
