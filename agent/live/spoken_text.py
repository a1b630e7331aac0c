"""What of an answer is said aloud: whole sentences up to a limit, without marks; used by live sessions."""

from __future__ import annotations

import re

from avatar.spec import is_spoken

MOST_CHARS = 900
"""About a minute: what is longer is read on the page."""
MORE = "The rest is on the page."

_MARKS = re.compile(r"[*_`#\[\]{}<>|•⟦⟧]+")
_ADDRESS = re.compile(r"https?://\S+|/api/\S+")
_END = re.compile(r"[.!?…:;]\s|\n")


def spoken_text(answer: str) -> str:
    """The text for the voice; "" when nothing in it can be said.

    Addresses and marks (which the voice would take for its own) are left out, lines become sentences.
    """
    lines = []
    for line in answer.splitlines():
        said = " ".join(_MARKS.sub(" ", _ADDRESS.sub(" ", line)).split())
        if is_spoken(said):
            lines.append(said if said[-1] in ".!?…:;," else said + ".")
    text = " ".join(lines)
    if len(text) <= MOST_CHARS:
        return text
    cut = text[:MOST_CHARS]
    ends = [found.end() for found in _END.finditer(cut)]
    kept = cut[: ends[-1]] if ends else cut.rpartition(" ")[0] or cut
    kept = kept.rstrip(" ,;:")
    return f"{kept}{'' if kept[-1:] in '.!?…' else '.'} {MORE}"
