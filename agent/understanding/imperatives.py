"""Two wishes in one sentence: the second one must not end up as somebody's name. Called by the Grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable

FREE_TEXT_SLOTS = frozenset({"script", "remembered", "statement", "purpose", "topic", "colour"})
"""Slots that hold what people tell, and no names: in them "and delete it" is what they tell."""

_SECOND = re.compile(
    r"(?:\b(?:and|then|but)|[,;.&])\s+(?:(?:then|also|please|just)\s+)*"
    r"(?:abort|accept|cancel|create|delete|deploy|drain|erase|film|forget|install|kill|load|make|move|power"
    r"|produce|publish|reboot|reinstall|reload|remember|remove|rename|render|repeat|restart|retire|retry|save"
    r"|scale|start|stop|throw|upload|wipe|write)\b",
    re.IGNORECASE,
)


def has_second_imperative(slots: Iterable[tuple[str, str]]) -> bool:
    """Returns whether a name goes on with another command; in the values what was quoted stands behind
    marks.
    """
    return any(name not in FREE_TEXT_SLOTS and _SECOND.search(value) is not None for name, value in slots)
