"""Finds whether a person's own words ask for a tool call of a model, and words a sentence that would."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.understanding.literals import HEAD_CHARS, Masked, mask, script_cuts

_WORD = re.compile(r"[^\W\d_]+")
_TOKEN = re.compile(r"\w+")
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
EMPTY_LINE = re.compile(r"\n\s*\n")
_SLOT = re.compile(r"\{(\w+)\}")

_SMALL_WORD = re.compile(r"[^\W\d_]+(?=[,;.!?]*(?:\s|\Z))")
_QUOTED = re.compile(r"[\"“„«]([^\"“”„«»]+)[\"“”»]")
_EXACT = tuple(":：\"“„«‚‘'")
"""Behind one of these, words are meant letter for letter."""
SCRIPT = "script"

NAME_CHARS = 3
"""A shorter argument stands in a sentence by chance."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The words that ask for one tool: a different word of each group in `named_by`. `say` is a template with
    {argument} and [optional parts]. A word of `looked_for_by` asks to see the data of the tool, where
    `named_by` asks for more.
    """

    named_by: tuple[frozenset[str], ...] = ()
    say: str = ""
    looked_for_by: frozenset[str] = frozenset()

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Wording:
        groups = tuple(frozenset(str(group).split()) for group in metadata.get("named_by", ()))
        looked_for_by = frozenset(str(metadata.get("looked_for_by", "")).split())
        return cls(groups, str(metadata.get("say", "")), looked_for_by)

    def requests_view(self, utterance: str, arguments: Mapping[str, object]) -> bool:
        """Returns whether the person's own words ask to see the tool's data, or name its object."""
        if self.looked_for_by & own_words(utterance) or self.is_named_in(utterance):
            return True
        own = own_sentence(utterance)
        text, ids = own.text.lower(), {literal for literal in own.literals if " " not in literal}
        named = [value for value in arguments.values() if isinstance(value, str)]
        return any(value in ids or (len(value) >= NAME_CHARS and value.lower() in text) for value in named)

    def is_named_in(self, utterance: str) -> bool:
        """Returns whether the person's own words name the tool. One without `named_by` is never named."""
        words = own_words(utterance)
        named = [group & words for group in self.named_by]
        # A word of both groups (“render”) does not name the tool by itself: two words are needed.
        return bool(named) and all(named) and len(frozenset().union(*named)) >= len(named)

    def sentence(self, arguments: Mapping[str, object]) -> str:
        """Returns the template with the arguments; empty when a needed one is missing."""
        texts = {name: str(value) for name, value in arguments.items() if value is not None}
        template = _OPTIONAL.sub(lambda match: match[1] if _is_filled(match[1], texts) else "", self.say)
        if not template or not _is_filled(template, texts):
            return ""
        return _SLOT.sub(lambda match: texts[match[1]], template)


def own_words(utterance: str) -> frozenset[str]:
    """Returns the person's own words in lower case, without scripts, quotations and paths.

    A pasted text must not be able to ask for anything, so whatever could be one is left out.
    """
    return frozenset(word.lower() for word in _WORD.findall(own_sentence(utterance).text))


def has_only_own_words(utterance: str, values: object) -> bool:
    """Returns whether all texts and numbers in the values stand in the person's own sentence, quotations
    included: then a call with them carries nothing else away.
    """
    own = own_sentence(utterance)
    words = {word.lower() for text in (own.text, *own.literals) for word in _TOKEN.findall(text)}

    def stands_there(value: object) -> bool:
        match value:
            case None | bool():
                return True
            case str() | int() | float():
                return words.issuperset(word.lower() for word in _TOKEN.findall(str(value)))
            case Mapping():
                return all(stands_there(one) for one in value.values())
            case list() | tuple():
                return all(map(stands_there, value))
        return False

    return stands_there(values)


def own_sentence(utterance: str) -> Masked:
    """Returns the person's own sentence, without text of others; see `own_words`."""
    head = utterance[:HEAD_CHARS]
    for cut in script_cuts(utterance):
        head = f"{cut.before} {cut.after}" if len(cut.before) < HEAD_CHARS else head
        break
    # What follows an empty line is pasted more often than said.
    spoken = EMPTY_LINE.split(head, maxsplit=1)[0]
    return mask(spoken)


def has_quoted_text(utterance: str) -> bool:
    """Returns whether a part of the utterance is a quotation, pasted, or a script."""
    return own_words(utterance) != frozenset(word.lower() for word in _WORD.findall(utterance))


def _is_filled(template: str, texts: Mapping[str, str]) -> bool:
    return all(texts.get(name) for name in _SLOT.findall(_OPTIONAL.sub("", template)))


def without_quotes(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns arguments whose script is not in quotation marks as a whole: they are no words of it."""
    script = arguments.get(SCRIPT)
    match = _QUOTED.fullmatch(script.strip()) if isinstance(script, str) else None
    return arguments if match is None else {**arguments, SCRIPT: match[1].strip()}


def with_capital(arguments: Mapping[str, Any], utterance: str) -> Mapping[str, Any]:
    """Returns arguments whose script begins with a capital letter, where it is the end of a sentence, “Nova
    says hello”, and not quoted or behind a colon. A word with signs or capitals inside stays.
    """
    script = arguments.get(SCRIPT)
    place = utterance.find(script) if isinstance(script, str) and script else -1
    if not isinstance(script, str) or place < 0:
        return arguments
    first = _SMALL_WORD.match(script)
    if first is None or not first[0].islower() or utterance[:place].rstrip().endswith(_EXACT):
        return arguments
    return {**arguments, SCRIPT: f"{script[0].upper()}{script[1:]}"}
