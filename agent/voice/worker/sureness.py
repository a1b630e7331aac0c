"""Decides how sure a recogniser has to be of a sentence, by what it would do; called by `listening`."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from importlib.resources import files

from agent.understanding.dialogue import Effect
from agent.understanding.grammar import Grammar, Understanding
from agent.voice.recogniser import Recognition

READING = 0.5
CHANGING = 0.8
"""From this confidence on a sentence that changes or deletes something is carried out without a question."""
DOUBTFUL = 0.15
"""From this confidence on it is asked back what was said; below, nothing of the grammar was."""
WIDE_READING = 0.9
"""From this confidence on a sentence that is not in the grammar is answered, where it only reads."""
ALIKE = 0.7
"""Natural logarithms of likelihood per frame by which other words may explain a sound better than a sentence
of the grammar that was said: of 300 other sentences one is nearer.
"""
SHORT_ANSWER = 2
"""So many words answer a question; what they confirm was asked before."""


def confidence_needed(text: str) -> float:
    """Returns the confidence from which on a recognised sentence is taken for what was said."""
    if len(text.split()) <= SHORT_ANSWER:
        return READING
    found = _grammar().understand(text)
    if not isinstance(found, Understanding):
        return CHANGING
    if found.tool is None:
        return READING
    effects = _effects()
    name = f"{found.tool}.{found.arguments.get('action', '')}"
    return READING if effects.get(name, effects.get(found.tool)) == "read" else CHANGING


def is_sure(found: Recognition) -> bool:
    """Returns whether a sentence of the grammar is taken up without a question."""
    return found.confidence >= confidence_needed(found.text)


def is_outside(result: Recognition, wide: Recognition) -> bool:
    """Returns whether a sentence that is not in the grammar was said, by both recognisers."""
    return wide.is_accepted and result.confidence < DOUBTFUL


def is_sure_outside(wide: Recognition, effect: Effect) -> bool:
    """Returns whether such a sentence is taken up without a question; what changes something never is."""
    return effect == "read" and wide.confidence >= WIDE_READING


def with_comparison(result: Recognition, other: Recognition) -> Recognition:
    """Returns a sentence of the grammar one step surer where no other words explain the sound much better,
    and sure enough for reading where the same ones explain it best.

    What changes something is asked back as before.
    """
    if result.measures is None or other.measures is None:
        return result
    if result.text == other.text.lower():
        return replace(result, confidence=max(READING, result.confidence))
    if other.measures.mean - result.measures.mean >= ALIKE:
        return result
    surer = next((step for step in (DOUBTFUL, READING) if step > result.confidence), result.confidence)
    return replace(result, confidence=surer)


def meaning_of(text: str) -> object:
    """Returns what a sentence asks for, so that two wordings of one wish are equal."""
    found = _grammar().understand(text)
    if not isinstance(found, Understanding):
        return text
    return found.tool or found.intent, found.arguments


@cache
def _grammar() -> Grammar:
    return Grammar.load()


@cache
def _effects() -> dict[str, str]:
    """Returns the effects of tools and their actions, as the policy has them."""
    text = (files("policy") / "rego" / "tools.json").read_text(encoding="utf-8")
    return {name: tool["effect"] for name, tool in json.loads(text)["tools"].items()}
