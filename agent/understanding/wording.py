"""Which words name a tool, and which sentence asks for a call; for the calls that a model makes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.understanding.literals import HEAD_CHARS, Masked, mask, script_cuts

_WORD = re.compile(r"[^\W\d_]+")
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_EMPTY_LINE = re.compile(r"\n\s*\n")
_SLOT = re.compile(r"\{(\w+)\}")

NAME_CHARS = 3
"""A shorter argument stands in a sentence by chance."""


@dataclass(frozen=True, slots=True)
class Wording:
    """How people ask for one tool: of each group of `named_by` a word of its own must be there; `say` is a
    template with {argument} and [parts that go when their argument is missing]. With one word of
    `looked_for_by` they want to see something, for a tool whose `named_by` stands for more than that.
    """

    named_by: tuple[frozenset[str], ...] = ()
    say: str = ""
    looked_for_by: frozenset[str] = frozenset()

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Wording:
        groups = tuple(frozenset(str(group).split()) for group in metadata.get("named_by", ()))
        looked_for_by = frozenset(str(metadata.get("looked_for_by", "")).split())
        return cls(groups, str(metadata.get("say", "")), looked_for_by)

    def looks_asked_for(self, utterance: str, arguments: Mapping[str, object]) -> bool:
        """Returns whether somebody's own words ask to see what the tool reads, or name what is looked at."""
        if self.looked_for_by & own_words(utterance) or self.named_in(utterance):
            return True
        own = own_sentence(utterance)
        said, ids = own.text.lower(), {literal for literal in own.literals if " " not in literal}
        named = [value for value in arguments.values() if isinstance(value, str)]
        return any(value in ids or (len(value) >= NAME_CHARS and value.lower() in said) for value in named)

    def named_in(self, utterance: str) -> bool:
        """Returns whether somebody's own words name the tool. One without `named_by` is never named."""
        words = own_words(utterance)
        named = [group & words for group in self.named_by]
        # A word of both groups (“render”) does not name the tool by itself: two words are needed.
        return bool(named) and all(named) and len(frozenset().union(*named)) >= len(named)

    def sentence(self, arguments: Mapping[str, object]) -> str:
        """The template with the arguments in it; empty when one that it needs is missing."""
        said = {name: str(value) for name, value in arguments.items() if value is not None}
        kept = _OPTIONAL.sub(lambda match: match[1] if _given(match[1], said) else "", self.say)
        if not kept or not _given(kept, said):
            return ""
        return _SLOT.sub(lambda match: said[match[1]], kept)


def own_words(utterance: str) -> frozenset[str]:
    """The words that somebody speaks, in lower case; not those of a script, of a quotation or of a path.

    A pasted text must not be able to ask for anything, so whatever could be one is left out.
    """
    return frozenset(word.lower() for word in _WORD.findall(own_sentence(utterance).text))


def own_sentence(utterance: str) -> Masked:
    """Returns what somebody speaks, without what could be of others; see `own_words`."""
    head = utterance[:HEAD_CHARS]
    for cut in script_cuts(utterance):
        head = f"{cut.before} {cut.after}" if len(cut.before) < HEAD_CHARS else head
        break
    # What follows an empty line is pasted more often than said.
    said = _EMPTY_LINE.split(head, maxsplit=1)[0]
    return mask(said)


def has_quoted_text(utterance: str) -> bool:
    """Returns whether a part of it is quoted, pasted, or to be spoken by somebody else."""
    return own_words(utterance) != frozenset(word.lower() for word in _WORD.findall(utterance))


def _given(template: str, said: Mapping[str, str]) -> bool:
    return all(said.get(name) for name in _SLOT.findall(_OPTIONAL.sub("", template)))
