"""Cuts a long script into scenes at paragraphs and sentences, so that a long video is made in parts that can
be kept.
"""

from __future__ import annotations

import re

SCENE_CHARS = 3000
"""About three minutes of speech: long enough to hide the joints, short enough to retry."""

_PARAGRAPH = re.compile(r"\n\s*\n")
# After an end mark and its closing quotes. The full-width marks of Chinese and Japanese need no space behind
# them.
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？؟।])\s*")


def split_script(script: str, limit: int = SCENE_CHARS) -> list[str]:
    """Parts of at most about `limit` characters, cut at the best place there is; a short script comes back
    whole.

    A sentence longer than `limit` is cut at a space, or anywhere when there is none.
    """
    script = script.strip()
    if len(script) <= limit:
        return [script] if script else []
    parts: list[str] = []
    for paragraph in _PARAGRAPH.split(script):
        parts += _gather(_pieces(paragraph.strip(), limit), limit, " ")
    return _gather(parts, limit, "\n\n")


def _pieces(paragraph: str, limit: int) -> list[str]:
    pieces: list[str] = []
    start = 0
    for match in _SENTENCE.finditer(paragraph):
        pieces.append(paragraph[start : match.end()].strip())
        start = match.end()
    pieces.append(paragraph[start:].strip())
    return [short for piece in pieces if piece for short in _chop(piece, limit)]


def _chop(text: str, limit: int) -> list[str]:
    chopped = []
    while len(text) > limit:
        cut = text.rfind(" ", 1, limit)
        cut = cut if cut > 0 else limit
        chopped.append(text[:cut].strip())
        text = text[cut:].strip()
    return [*chopped, text] if text else chopped


def _gather(pieces: list[str], limit: int, joint: str) -> list[str]:
    """Joins neighbours while they fit."""
    gathered: list[str] = []
    for piece in pieces:
        if gathered and len(gathered[-1]) + len(joint) + len(piece) <= limit:
            gathered[-1] += joint + piece
        elif piece:
            gathered.append(piece)
    return gathered
