"""Rewrites sentences as people say them about what was spoken of before: “stop atlas” as “stop it”."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from agent.sentences import read_yaml
from agent.understanding.corpus import Example, Span
from agent.understanding.training import kind_of
from agent.understanding.values import says_pronoun

NOT_SPOKEN_OF = frozenset({"before", "after", "other", "account", "playbook"})
"""Arguments that are named beside what a sentence is about."""


@dataclass(frozen=True, slots=True)
class Pronominal:
    """A sentence with a pronoun in place of a name, and what it stands for."""

    example: Example
    kind: str
    name: str


def with_pronoun(example: Example, chance: random.Random) -> Pronominal | None:
    """Returns a sentence with a pronoun for the one thing that it names; None where it names none, several,
    or its owner (“Vera's”).
    """
    words = _words().get(example.language)
    named = [(one, kind_of(example, one.slot)) for one in example.spans if one.value is None]
    named = [(one, kind) for one, kind in named if words and kind in words["pronouns"]]
    if words is None or len(named) != 1:
        return None
    span, kind = named[0]
    name, text = example.text[span.start : span.end], example.text
    if span.slot in NOT_SPOKEN_OF or says_pronoun(name) or re.match(r"['’]s", text[span.end :]):
        return None
    nouns, articles = "|".join(words["nouns"][kind]), "|".join(words["articles"])
    before = re.sub(
        rf"(?:\b(?:{articles})\s+)?(?:\b(?:{nouns})\s+)?[\"“„']?$", "", text[: span.start], flags=re.I
    )
    after = re.sub(rf"^[\"”“']?(?:\s+(?:{nouns})\b)?", "", text[span.end :], flags=re.I)
    pronoun = chance.choice(words["pronouns"][kind])
    end = len(before) + len(pronoun)
    rest = len(text) - len(after)
    spans: list[Span] = []
    for one in example.spans:
        if one is span:
            spans.append(Span(one.slot, len(before), end))
        elif one.end <= len(before):
            spans.append(one)
        elif one.start >= rest:
            spans.append(replace(one, start=one.start + end - rest, end=one.end + end - rest))
        else:
            return None
    return Pronominal(replace(example, text=before + pronoun + after, spans=tuple(spans)), str(kind), name)


@cache
def _words() -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = read_yaml(Path(__file__).with_name("pronouns.yaml"))
    return found
