"""Finds what else a deletion may mean, where its name is none that exists, or a part of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rapidfuzz import fuzz, process, utils

from agent.understanding import values
from agent.understanding.dialogue import CallRecord
from agent.understanding.world import PART_CHARS, Thing, World, fold

DELETES: Mapping[str, tuple[str, str]] = {
    "project": ("edit_project.delete", "project"),
    "render": ("cancel_render.delete", "render"),
    "scene": ("edit_project.delete_scene", "scene"),
    "persona": ("create_persona.delete", "persona"),
}
"""The intent that deletes a thing of a kind, and its argument for it."""
KIND_DELETED: Mapping[str, str] = {intent: kind for kind, (intent, _) in DELETES.items()}
LIKE = 75.0
"""From here on, of 100, a name is near enough to be offered for a deletion."""


def deletions_like(name: str, text: str, world: World) -> list[CallRecord]:
    """Returns the deletions of what is called nearly so, the nearest first."""
    things = _things(text, world)
    found = process.extract(
        name,
        [one.name for one in things],
        scorer=fuzz.WRatio,
        processor=utils.default_process,
        score_cutoff=LIKE,
        limit=None,
    )
    return [_deletion(things[place], world) for _, _, place in found]


def rivals(call: CallRecord, text: str, world: World) -> list[CallRecord]:
    """Returns the deletions of the other things whose names have the words that a text says of a name: of
    “Lake clip”, where it says “the lake” and there is “Lake tour”. None where the whole name is said, or
    nothing of it.
    """
    kind = KIND_DELETED.get(call.intent)
    if kind is None:
        return []
    reference = fold(str(call.arguments.get(DELETES[kind][1], "")))
    meant = next((one for one in world.of_kind(kind) if reference in (fold(one.id), fold(one.name))), None)
    if meant is None or not meant.name or fold(meant.name) in fold(text):
        return []
    spoken = [one for one in _words(text) if _has_word_like(meant, one)]
    others = [one for one in _things(text, world) if one != meant]
    return [_deletion(one, world) for one in others if any(_has_word_like(one, word) for word in spoken)]


def _words(text: str) -> list[str]:
    return [one for one in values.WORD.findall(text.lower()) if len(one) >= PART_CHARS]


def _has_word_like(thing: Thing, word: str) -> bool:
    """Returns whether a word of a name begins with another word, or that with it: “lakes”, “Lakeside”."""
    return any(one.startswith(word) or word.startswith(one) for one in _words(thing.name))


def _things(text: str, world: World) -> Sequence[Thing]:
    """Returns what has a name, of the kind that a text names, or else of all that may be deleted."""
    lower = text.lower()
    kinds = values.words().values["kind"]
    named = {kind for word, kind in kinds.items() if values.has_phrase(word, lower)} & DELETES.keys()
    return [one for one in world.of_kind(*(named or DELETES)) if one.name]


def _deletion(thing: Thing, world: World) -> CallRecord:
    intent, slot = DELETES[thing.kind]
    if thing.kind != "scene":
        is_only = sum(fold(one.name) == fold(thing.name) for one in world.of_kind(thing.kind)) == 1
        return CallRecord(intent, {slot: thing.name if is_only or not thing.id else thing.id})
    numbers = {slot: thing.number}
    return CallRecord(intent, {slot: thing.name, "project": thing.parent, "scene_numbers": numbers})
