"""Finds arguments that are written as a list of fields: “Presenter: Nova • Text: … • Format: vertical”."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

from agent.understanding import values

FEWEST = 2
"""One label may be anything; several are a list."""
SPOKEN = frozenset({"script", "text"})
"""Arguments of several sentences."""
_AFTER = " \t\n,;•·|-–*"
SENTENCE_STOP = re.compile(r"[.!?;]\s")


@dataclass(frozen=True, slots=True)
class Field:
    """A labelled value: its place in characters, and what the label may mean, the likeliest first."""

    slots: tuple[str, ...]
    start: int
    end: int

    def slot_of(self, slot_names: Collection[str]) -> str | None:
        """Returns which of the arguments that an intent has it is."""
        return next((slot for slot in self.slots if slot in slot_names), None)


def fields(text: str) -> Sequence[Field]:
    """Returns the fields of a list, in their order; nothing where it is none."""
    pattern = _pattern()
    found = list(pattern.finditer(text))
    if len(found) < FEWEST:
        return ()
    ends = [*(match.start() for match in found[1:]), len(text)]
    result = []
    for match, end in zip(found, ends, strict=True):
        slots = values.words().labels[match[1].lower()]
        value = text[match.end() : end].rstrip(_AFTER)
        if SPOKEN.isdisjoint(slots):
            value = SENTENCE_STOP.split(value, maxsplit=1)[0].rstrip(".")
        if value.strip():
            result.append(Field(slots, match.end(), match.end() + len(value)))
    return result


def has_other_label(text: str, slot_names: Collection[str]) -> bool:
    """Returns whether the word before a colon names an argument that an intent does not have."""
    before, colon, _ = text.partition(": ")
    slots = values.words().labels.get((before.split() or [""])[-1].lower()) if colon else None
    return slots is not None and not set(slots) & set(slot_names)


@cache
def _pattern() -> re.Pattern[str]:
    labels = sorted(map(re.escape, values.words().labels), key=len, reverse=True)
    return re.compile(
        rf"(?:^|(?<=[\n;•·|*])|(?<=[.!?,:–-]\s)|(?<=\n\s))\s*({'|'.join(labels)})\s?[:=→]\s*", re.IGNORECASE
    )
