"""Judges single wishes: what is missing, whether they wait for something, and their arguments by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agent.understanding import values
from agent.understanding.intents import REQUIRED
from agent.understanding.reader import Candidate
from agent.understanding.slots import FREE_TEXTS
from agent.understanding.world import Thing, World, fold

_AMOUNT = re.compile(r"\bat (?:2[5-9]|[3-9]\d)\b")
"""No time of day: “stuck at 40 percent”."""
SENTENCE_END = re.compile(r"[.!?]\s+\S")
PLACES = frozenset({"before", "after", "to"})
"""Arguments that say a place among scenes."""


def waits(candidate: Candidate) -> bool:
    """Returns whether the wish shall come true later: at a time, or when something has happened."""
    rest = _AMOUNT.sub(" ", values.without_plain("shape", values.without_courtesy(candidate.rest)))
    if PLACES & {*candidate.arguments}:
        rest = values.words().patterns["places"].sub(" ", rest)
    if values.matches("condition", rest) or re.match(r"\s*should\b", candidate.text, re.IGNORECASE):
        return True
    return values.matches("time", rest) and "publish_at" not in candidate.arguments


def is_half_timed(candidate: Candidate) -> bool:
    """Returns whether a time is spoken of that was not, or not wholly, understood."""
    at = candidate.arguments.get("publish_at")
    spoken = values.matches("time", candidate.text) or values.matches("schedule", candidate.text)
    return spoken if at is None else str(at).endswith("T00:00")


def has_sentence_end(candidate: Candidate, slot: str) -> bool:
    """Returns whether a name goes on after the end of a sentence, as names do not."""
    name = candidate.arguments.get(slot)
    return isinstance(name, str) and SENTENCE_END.search(name) is not None


def own(candidate: Candidate, text: str) -> str:
    """Returns the words of a clause without its free texts."""
    for name in FREE_TEXTS:
        value = candidate.arguments.get(name)
        if isinstance(value, str):
            text = text.replace(value, " ")
    return text


def missing(intent: str, arguments: Mapping[str, Any]) -> list[Sequence[str]]:
    return [
        group
        for group in REQUIRED.get(intent, ())
        if not any(_has_value(name, arguments.get(name)) for name in group)
    ]


def _has_value(name: str, value: Any) -> bool:
    """Returns whether an argument has a value; an empty heading removes the one that is there."""
    return value not in (None, "", []) or (name == "heading" and value == "")


def plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns arguments with things by their names; scenes bring their project and their place in it."""
    result: dict[str, Any] = {}
    numbers: dict[str, int] = {}
    for name, value in arguments.items():
        if isinstance(value, Thing):
            result[name] = value.name or value.number
            if value.kind == "scene":
                numbers[name] = value.number
                if "project" not in arguments:
                    result["project"] = value.parent
        elif isinstance(value, list):
            result[name] = ",".join(
                dict.fromkeys(one.name if isinstance(one, Thing) else str(one) for one in value)
            )
        else:
            result[name] = value
    if numbers:
        result["scene_numbers"] = {**arguments.get("scene_numbers", {}), **numbers}
    return result


def is_two_kinds(candidate: Candidate, world: World, text: str) -> bool:
    """Returns whether a video and a project have the name, and the words do not say which is meant."""
    named = candidate.arguments.get("render") or candidate.arguments.get("project")
    if not isinstance(named, Thing):
        return False
    kinds = {thing.kind for thing in world.things if fold(thing.name) == fold(named.name)} & {
        "render",
        "project",
    }
    return len(kinds) > 1 and not values.matches("project_or_video", text)
