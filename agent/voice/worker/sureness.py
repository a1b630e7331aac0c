"""Decides how sure a recogniser has to be of a sentence, by what it would do; called by `listening`."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from agent.understanding.grammar import Grammar, Understanding

READING = 0.5
CHANGING = 0.8
"""From this confidence on a sentence that changes or deletes something is carried out without a question."""
DOUBTFUL = 0.15
"""From this confidence on it is asked back what was said; below, nothing of the grammar was."""
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
