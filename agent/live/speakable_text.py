"""Reduces an answer to the text for the voice: whole sentences up to a limit, without marks."""

from __future__ import annotations

import re

from avatar.spec import is_spoken

MOST_CHARS = 900
"""About a minute: what is longer is read on the page."""
MORE = "The rest is on the page."

_MARKS = re.compile(r"[*_`#\[\]{}<>|•⟦⟧]+")
_ADDRESS = re.compile(r"https?://\S+|/api/\S+")
_END = re.compile(r"[.!?…:;]\s|\n")


def speakable_text(answer: str) -> str:
    """Returns the text for the voice; "" when nothing in it can be spoken.

    Addresses and marks (which the voice would take for its own) are left out, lines become sentences.
    """
    lines = []
    for line in answer.splitlines():
        sentence = " ".join(_MARKS.sub(" ", _ADDRESS.sub(" ", line)).split())
        if is_spoken(sentence):
            lines.append(sentence if sentence[-1] in ".!?…:;," else sentence + ".")
    text = " ".join(lines)
    if len(text) <= MOST_CHARS:
        return text
    cut = text[:MOST_CHARS]
    ends = [found.end() for found in _END.finditer(cut)]
    shortened = cut[: ends[-1]] if ends else cut.rpartition(" ")[0] or cut
    shortened = shortened.rstrip(" ,;:")
    return f"{shortened}{'' if shortened[-1:] in '.!?…' else '.'} {MORE}"
