"""Updates the dialogue with what tools returned: ids, lists, and what “it” is after a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agent.understanding.dialogue import SHOWN, CallRecord, Dialogue
from agent.understanding.references import KIND_OF_TOOL

_LISTED: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "list_renders": (("renders", "render", "render_id"),),
    "list_machines": (("machines", "machine", "name"),),
    "list_projects": (("scenes", "scene", "number"), ("projects", "project", "title")),
    "list_personas": (("personas", "persona", "name"),),
    "queue": (("waiting", "render", "render_id"), ("running", "render", "render_id")),
    "cluster_status": (("nodes", "machine", "node"), ("jobs", "job", "job")),
    "edit_project": (("scenes", "scene", "number"),),
}
"""Fields of a result with a list that is shown, the kind of its things, and what they are called by."""
_LISTS_ONLY = frozenset(_LISTED) - {"edit_project"}


def with_result(dialogue: Dialogue, call: CallRecord, result: Mapping[str, Any]) -> Dialogue:
    """Returns the dialogue with the ids of what a tool made or showed."""
    if call.intent == "snapshots.load":
        dialogue = Dialogue()
    last = dict(dialogue.last)
    for kind in ("render", "project"):
        if isinstance(found := result.get(f"{kind}_id"), str):
            last[kind] = found
    kind = dialogue.recent_kind
    if result.get("render_id"):
        kind = "render"
    elif result.get("scene_id"):
        kind = "scene"
    elif result.get("project_id"):
        kind = "project"
    if isinstance(scene := result.get("scene_id"), str):
        # “It” is that scene, at its place now.
        numbers = {one["scene_id"]: one["number"] for one in result.get("scenes", ())}
        last |= {"scene": str(numbers[scene])} if scene in numbers else {}
    elif last.get("project") != dialogue.last.get("project"):
        last.pop("scene", None)
    dialogue = replace(dialogue, last=last, recent_kind=kind)
    if call.intent == "write_script.film" and result.get("render_id"):
        # “Slower” is about this film.
        dialogue = replace(dialogue, film=CallRecord("make_render", {"project": result["project_id"]}))
    return with_list(dialogue, call.intent.partition(".")[0], result)


def after_failure(dialogue: Dialogue, call: CallRecord) -> Dialogue:
    """Returns the dialogue after a call that came to nothing: “it” is the machine or the run that it was
    about, and no video.
    """
    kind = KIND_OF_TOOL.get(call.intent.partition(".")[0])
    spoken = dialogue.after_calls((call,))
    if kind is None:
        return dialogue
    if kind not in ("run", spoken.recent_kind):
        return replace(dialogue, recent_kind=kind)
    named = {one: spoken.last[one] for one in ("machine", "job") if one in spoken.last}
    return replace(dialogue, last={**dialogue.last, **named}, recent_kind=kind)


def with_list(dialogue: Dialogue, tool: str, result: Mapping[str, Any]) -> Dialogue:
    """Returns the dialogue with the names of what a tool has listed, in the order in which it was shown."""
    lists = {
        kind: tuple(str(one[name]) for one in listed if name in one and not one.get("talk_only"))
        for field, kind, name in _LISTED.get(tool, ())
        if isinstance(listed := result.get(field), list) and listed
    }
    if not lists:
        return dialogue
    kind = next(iter(lists)) if tool in _LISTS_ONLY else dialogue.recent_kind
    if tool in _LISTS_ONLY and len(lists[kind]) == 1:
        # “That one” is the only one of the list.
        dialogue = replace(dialogue, last={**dialogue.last, kind: lists[kind][0]})
    return replace(dialogue, shown={one: names[:SHOWN] for one, names in lists.items()}, recent_kind=kind)
