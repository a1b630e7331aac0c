"""Reads one wish for each of several things that are named together: “delete A and B”, “publish both”."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.understanding import changes, values
from agent.understanding.decision import Decision, ask_about
from agent.understanding.dialogue import YES_OR_NO, CallRecord, Dialogue, Question
from agent.understanding.groups import BOTH, MOST, Group
from agent.understanding.intents import DESTRUCTIVE, READS
from agent.understanding.slots import FREE_TEXTS
from agent.understanding.tokens import Token, tokenize
from agent.understanding.world import SURE_NAME, World, fold

SLOTS_OF: Mapping[str, Sequence[str]] = {
    "cancel_render": ("render",),
    "retry_render": ("render",),
    "show_render": ("render",),
    "publish_render": ("render",),
    "queue": ("render",),
    "trash": ("render", "project"),
    "list_projects": ("project",),
    "edit_project.delete": ("project",),
    "edit_project.delete_scene": ("scene",),
    "make_render": ("project",),
    "change_machine": ("machine",),
    "list_machines": ("machine",),
    "ssh": ("machine",),
    "change_job": ("job",),
    "cluster_status": ("job",),
    "job_logs": ("job",),
    "create_persona.delete": ("persona",),
}
"""Of tools and intents that take one thing, the argument that names it."""
ORDERED = frozenset({"edit_project.move_scene", "queue.front", "queue.back"})
"""What changes the places of other things."""
LAST_FIRST = frozenset({"edit_project.delete_scene"})
"""What changes the numbers of the things behind."""
_TRASHED: Mapping[str, str] = {
    "trash.restore_video": "trashed_render",
    "trash.restore_project": "trashed_project",
}
_MARKS = frozenset(",&+/")
MOST_WORDS = 8
"""In a longer text “both” may be about anything."""


def on_each(decision: Decision, text: str, world: World, dialogue: Dialogue) -> Decision:
    """Returns a decision on a call for each thing that a text names beside the one of the call, or means by
    “both”: the last list of two. The decision itself where it is about one thing; a question where “both” may
    be any.
    """
    call = only_call(decision)
    if call is None or values.matches("negation", spoken := _without_texts(call, text)):
        return decision
    slot = slot_of(call)
    if slot is None:
        return decision
    names: Sequence[str] = _named_together(spoken, slot, call, world)
    if not names and _says_both(spoken, slot, call, world):
        names = _two_spoken_of(slot, dialogue)
        if len(names) != BOTH:
            rest = {name: value for name, value in call.arguments.items() if name != slot}
            question = Question("missing", call.intent, rest, (slot,))
            return Decision("ask", about="missing", candidates=decision.candidates, question=question)
    if len(names) < BOTH:
        return decision
    rest = {name: value for name, value in call.arguments.items() if name != "scene_numbers"}
    each = tuple(CallRecord(call.intent, {**rest, slot: name}) for name in names[:MOST])
    if decision.question is None:
        return replace(decision, calls=each)
    return replace(decision, question=replace(decision.question, about="confirm_all", choices=each))


def together(group: Group, decisions: Sequence[Decision]) -> Decision | None:
    """Returns the decision on all things of a group from those on each; None where one of them is about
    something else.
    """
    found = [only_call(one) for one in decisions]
    calls = [one for one in found if one is not None]
    intents = {one.intent for one in calls}
    if len(calls) < len(found) or len(intents) > 1 or intents & ORDERED:
        return None
    if not all(group.kind in one.arguments or slot_of(one) == group.kind for one in calls):
        return None
    if intents <= READS:
        # Of all things a list shows them.
        return None if group.is_all else replace(decisions[0], calls=tuple(calls))
    if intents & LAST_FIRST:
        calls.sort(key=lambda one: -int(one.arguments[group.kind]))
    candidates = tuple(one for each in decisions for one in each.candidates)
    if intents <= DESTRUCTIVE or group.is_all or any(one.question is not None for one in decisions):
        return ask_about("confirm", calls, candidates, question="confirm_all")
    return Decision("calls", calls=tuple(calls), candidates=candidates)


def only_call(decision: Decision) -> CallRecord | None:
    """Returns the one call that a decision makes, or asks a yes for."""
    calls = decision.calls if decision.kind == "calls" else ()
    question = decision.question
    if decision.kind == "ask" and question is not None and question.about in YES_OR_NO:
        calls = question.choices
    return calls[0] if len(calls) == 1 else None


def slot_of(call: CallRecord) -> str | None:
    """Returns the argument of a call that names the thing it is about; None where it takes none."""
    slots = SLOTS_OF.get(call.intent) or SLOTS_OF.get(call.intent.partition(".")[0], ())
    return next((one for one in slots if one in call.arguments), next(iter(slots), None))


def _without_texts(call: CallRecord, text: str) -> str:
    """Returns the words of a text without what a call speaks or writes."""
    for name in FREE_TEXTS:
        value = call.arguments.get(name)
        if isinstance(value, str) and value:
            text = text.replace(value, " … ")
    return text


def _named_together(text: str, slot: str, call: CallRecord, world: World) -> list[str]:
    """Returns the names that stand with that of the call in one list: “A, B and the clip C”."""
    kind = _TRASHED.get(call.intent, slot)
    tokens = tokenize(text)
    found = [one for one in world.mentions(tokens) if one.thing.kind == kind and one.sureness >= SURE_NAME]
    lists: list[list[str]] = []
    end = -1
    for one in found:
        name = one.thing.name or str(one.thing.number)
        if end >= 0 and _joins(tokens[end : one.start]):
            lists[-1].append(name)
        else:
            lists.append([name])
        end = one.end
    value = fold(str(call.arguments.get(slot, "")))
    names = next((some for some in lists if value in map(fold, some)), [])
    return list(dict.fromkeys(names))


def _joins(tokens: Sequence[Token]) -> bool:
    """Returns whether words between two names put both into one list."""
    groups = values.words().groups
    joins = [one.lower in groups["joiners"] or one.text in _MARKS for one in tokens]
    others = [one.lower for one, is_joint in zip(tokens, joins, strict=True) if not is_joint]
    return any(joins) and all(word in groups["articles"] or changes.is_kind(word) for word in others)


def _two_spoken_of(slot: str, dialogue: Dialogue) -> Sequence[str]:
    """Returns the names of a list that was shown, or those of the last calls."""
    values = [str(call.arguments[slot]) for call in dialogue.calls if call.arguments.get(slot)]
    return dialogue.shown.get(slot) or list(dict.fromkeys(values))


def _says_both(text: str, slot: str, call: CallRecord, world: World) -> bool:
    """Returns whether a short text says “both” of things that it does not name."""
    tokens = tokenize(text)
    if len(tokens) > MOST_WORDS or "both" in call.arguments.values():
        return False
    is_named = any(one.thing.kind == slot and one.sureness >= SURE_NAME for one in world.mentions(tokens))
    return not is_named and any(one.lower in values.words().groups["both"] for one in tokens)
