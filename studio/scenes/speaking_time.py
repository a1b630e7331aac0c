"""Estimates how long a text takes to say, before a voice speaks it; used to split texts and in estimates."""

from __future__ import annotations

import re
import unicodedata

from avatar.spec import without_acting_marks

WORDS_PER_MINUTE = 160
"""The pace of the voice that comes with the worker (avatar.spec.FliteVoice)."""
SIGN_MS = 220
"""One sign of a script that puts a word or syllable into each: about 270 in a minute."""
SENTENCE_PAUSE_MS = 350

_PAUSE = re.compile(r"\[pause\s+(\d{1,5})\s*ms\]", re.IGNORECASE)
_WORD = re.compile(r"[^\s]+")
_END = re.compile(r"[.!?…。！？](?:\s|$)|[。！？]")


def speaking_ms(text: str) -> int:
    """Returns milliseconds, within a quarter of what a voice needs for ordinary prose."""
    pauses = sum(int(match[1]) for match in _PAUSE.finditer(text))
    prose = _PAUSE.sub(" ", without_acting_marks(text))
    signs = sum(1 for char in prose if _is_a_sign(char))
    words = sum(1 for word in _WORD.findall(prose) if any(map(_is_alphabetic, word)))
    spoken = words * 60_000 // WORDS_PER_MINUTE + signs * SIGN_MS
    return spoken + len(_END.findall(prose)) * SENTENCE_PAUSE_MS + pauses


def _is_a_sign(char: str) -> bool:
    """Chinese characters and kana stand for a syllable or more and are written without blanks."""
    return char >= "\u3040" and unicodedata.name(char, "").startswith(("CJK", "HIRAGANA", "KATAKANA"))


def _is_alphabetic(char: str) -> bool:
    return char.isalnum() and not _is_a_sign(char)
