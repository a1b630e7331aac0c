"""Recognises text that looks like a password, a key or a card number; called before a memory is stored."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal

SecretShape = Literal["a password", "a key", "a card number"]

# ISO/IEC 7812: 13 to 19 digits, often in groups, beginning with a payment network's digit.
_CARD = re.compile(r"(?<![\w.])[2-6](?:[ -]?\d){12,18}(?![\w.]?\d)")
_KNOWN_KEYS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)?[-_]?[A-Za-z0-9_-]{16,}"
    r"|\bgh[oprsu]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}|\bxox[abops]-[\w-]{10,}|\bhvs\.[\w-]{20,}"
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"
    r"|://[^\s/:@]+:[^\s/@]+@"
)
# Not the ids of this product (`rnd_01m8…`), which are public.
_LONG_TOKEN = re.compile(r"(?<![\w/.-])(?![a-z]{2,4}_[0-9a-z]{20,30}\b)[A-Za-z0-9+/_-]{24,}={0,2}(?![\w/.-])")
_NAMED = re.compile(
    r"\b(?P<name>pass(?:word|wd|phrase|code)|pwd|pin(?:[ -]?(?:code|number))?|cvc|cvv|"
    r"(?:api|access|secret|private|wi-?fi|wlan|ssh|licen[cs]e)[ -]?key|"
    r"(?:api|access|auth|bearer|bot)[ -]?token|client[ -]secret|passwort|kennwort|geheimzahl|zugangscode)\b"
    r"[^.?!]{0,60}?(?:\b(?:is|are|was|to|ist|lautet|heißt|war)\b|[:=])\s*[\"'“‘`]?(?P<value>\S+)",
    re.IGNORECASE,
)
_WORDS_ABOUT_IT = """
a an the in on at with by under below kept stored saved written hidden not no never too very changed reset
wrong right secret gone lost old new safe weak strong expired needed required known my your his her our their
be change keep ask es ein eine der die das im auf bei nicht
"""
_NO_VALUE = frozenset(_WORDS_ABOUT_IT.split())


def secret_shape(text: str) -> SecretShape | None:
    """Return what the text seems to hold, or None. A guess: it decides about a question, not a refusal."""
    if any(_passes_luhn(found[0]) for found in _CARD.finditer(text)):
        return "a card number"
    if _KNOWN_KEYS.search(text) or any(_is_mixed(found[0]) for found in _LONG_TOKEN.finditer(text)):
        return "a key"
    if any(_is_value(found) for found in _NAMED.finditer(text)):
        return "a password"
    return None


def _is_value(named: re.Match[str]) -> bool:
    """Returns whether what follows a name is the secret itself, and not a word about it."""
    value = named["value"].strip("\"'“”‘’`.,;:!?").casefold()
    if named["name"].casefold().startswith(("pin", "cv")):
        return any(char.isdigit() for char in value)
    return value not in _NO_VALUE


def _passes_luhn(text: str) -> bool:
    """Check the last digit (ISO/IEC 7812-1, annex B)."""
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return len(digits) in range(13, 20) and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_mixed(token: str) -> bool:
    """Returns whether letters and digits alternate as in random keys, not as in words, names and dates."""
    digits = sum(char.isdigit() for char in token)
    changes = sum(a.isdigit() != b.isdigit() for a, b in pairwise(token))
    return digits >= 4 and changes >= 6
