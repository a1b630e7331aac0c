"""Says sentences in other ways that mean the same: with a courtesy or a reason around them, or dictated."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from agent.sentences import read_yaml
from agent.understanding.corpus import Example
from agent.understanding.sentence import quotations
from agent.understanding.slots import FREE_TEXTS
from bench.nlu_evaluation.cases import FOLDER

BEFORE, BEHIND, DICTATED = 0.25, 0.2, 0.15
"""Shares of the sentences that get words before or behind them, and of those without signs and capitals."""
OPEN_ENDED = FREE_TEXTS - {"question"} | {"purpose"}
"""Arguments that would take in what comes behind them."""
UNCHANGED = ("act.", "plan.")
"""Answers and talk stay as they are: “thanks, please” is nothing that people say."""
SIGNS = ",.;:!?"


@cache
def variations() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Returns what people say `before` and `behind` an order, by language."""
    found: Mapping[str, Mapping[str, Sequence[str]]] = read_yaml(FOLDER / "variations.yaml")
    return found


def vary(example: Example, chance: random.Random) -> Example:
    """Returns the sentence, or in some cases the same in another form."""
    words = variations().get(example.language)
    if words is not None and example.text.strip() and not example.intent.startswith(UNCHANGED):
        if chance.random() < BEHIND and not is_open_ended(example):
            example = with_words_behind(example, chance.choice(words["behind"]))
        if chance.random() < BEFORE:
            example = with_words_before(example, chance.choice(words["before"]))
    return dictate(example) if chance.random() < DICTATED else example


def is_open_ended(example: Example) -> bool:
    """Returns whether a sentence ends with a text, or asks."""
    shown = example.text.rstrip(" .!")
    return shown.endswith("?") or any(
        span.end >= len(shown) and span.slot in OPEN_ENDED for span in example.spans
    )


def with_words_before(example: Example, words: str) -> Example:
    """Returns the sentence behind some words."""
    text, first = example.text, example.text.partition(" ")[0]
    is_named = any(span.start == 0 for span in example.spans)
    if not words.rstrip().endswith((".", ":")) and first.istitle() and first != "I" and not is_named:
        text = text[0].lower() + text[1:]
    spans = tuple(
        replace(one, start=one.start + len(words), end=one.end + len(words)) for one in example.spans
    )
    return replace(example, text=words + text, spans=spans)


def with_words_behind(example: Example, words: str) -> Example:
    """Returns the sentence with some words in place of its full stop."""
    last = max((span.end for span in example.spans), default=0)
    text = example.text[:last] + example.text[last:].rstrip(" .!")
    return replace(example, text=text + words)


def dictate(example: Example) -> Example:
    """Returns the sentence without capitals and signs at the ends of words; one with quotations as it is."""
    text = example.text
    if quotations(text) or "\n" in text:
        return example
    left_out = {
        place
        for place, sign in enumerate(text)
        if sign in SIGNS and (place + 1 == len(text) or text[place + 1].isspace())
    }
    place_of = [0]
    for place in range(len(text)):
        place_of.append(place_of[-1] + (place not in left_out))
    spans = tuple(replace(one, start=place_of[one.start], end=place_of[one.end]) for one in example.spans)
    shorter = "".join(sign for place, sign in enumerate(text) if place not in left_out)
    return replace(example, text=shorter.lower(), spans=spans)
