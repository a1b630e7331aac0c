"""Reads one wish for several videos or scenes: “3 videos: one with Nova, one with Milo, all say …”."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.understanding import changes, values
from agent.understanding.candidates import own, plain
from agent.understanding.decision import Decision, ask_about
from agent.understanding.dialogue import CallRecord
from agent.understanding.intents import READS, TEXTS_OF
from agent.understanding.reader import Candidate
from agent.understanding.tokens import tokenize
from agent.understanding.world import SURE_NAME, Thing, World

MOST = 8
SCENE_TEXTS = frozenset(
    {"edit_project.add_scene", "edit_project.change_scene", "make_render", "write_script.draft"}
)
_LINK = re.compile(r"[\s,;.]+(?:and|und|then|dann)?\s*\Z", re.IGNORECASE)


def several_things(best: Candidate, text: str, world: World, project: str = "") -> Decision | None:
    """Returns the question whether several calls of one kind shall be made, or the answer that it goes one at
    a time; None for a wish for one thing.
    """
    if best.intent in SCENE_TEXTS and len(numbered := changes.texts_by_number(text)) > 1 and project:
        return _ask(_scenes(numbered, project, world), best)
    slot = TEXTS_OF.get(best.intent)
    if slot is None:
        return None
    arguments = plain(best.arguments)
    script = str(arguments.get(slot) or "")
    if len(spoken_by := texts_of_others(script, world)) > 1:
        first, *others = spoken_by
        calls = [CallRecord(best.intent, {**arguments, slot: first[1]})]
        calls += [
            CallRecord(best.intent, {**arguments, "persona": name, slot: part}) for name, part in others
        ]
        return _ask(calls, best)
    parts = changes.parts_of_texts(script)
    if 1 < len(parts) <= MOST:
        return _ask([CallRecord(best.intent, {**arguments, slot: part}) for part in parts], best)
    if best.intent != "make_render":
        return None
    spoken = text.replace(script, " ") if script else text
    names = [
        one.thing.name
        for one in world.mentions(tokenize(spoken))
        if one.thing.kind == "persona" and one.sureness >= SURE_NAME
    ]
    presenters = list(dict.fromkeys(names))
    counted = changes.one_video_each(spoken)
    wants_each = counted is not None or (len(presenters) > 1 and changes.matches("each", spoken))
    if not wants_each or values.matches("negation", spoken):
        return None
    if (texts := _texts_by_presenter(text, presenters)) and len(texts) == len(presenters) > 1:
        calls = [
            CallRecord(best.intent, {**arguments, "persona": name, "script": script})
            for name, script in texts
        ]
        return _ask(calls, best)
    number = values.number(counted) if counted else None
    if script and len(presenters) > 1 and number in (None, len(presenters)):
        return _ask([CallRecord(best.intent, {**arguments, "persona": name}) for name in presenters], best)
    if counted is None:
        return None
    return Decision("refuse", about="one_video", candidates=(best,))


def all_but(best: Candidate, text: str, world: World) -> Decision | None:
    """Returns the question whether all others shall be stopped, where a change spares what it names: “cancel
    all but the Welcome clip”; None where it spares nothing.
    """
    if best.tool is None or best.intent in READS or not changes.spares(own(best, text)):
        return None
    spared = {one for one in best.arguments.values() if isinstance(one, Thing)}
    others = [one.id or one.name for one in world.films_in_work() if one not in spared]
    if best.intent == "cancel_render.cancel" and others:
        return _ask([CallRecord(best.intent, {"render": name}) for name in others[:MOST]], best)
    return ask_about("unsure", (), (best,))


def on_each_machine(decision: Decision, text: str, world: World) -> Decision:
    """Returns the calls for all machines that a text names, where a command runs on one of them."""
    if decision.kind != "calls" or [one.intent for one in decision.calls] != ["ssh"]:
        return decision
    named = [one.thing for one in world.mentions(tokenize(text)) if one.sureness >= SURE_NAME]
    names = dict.fromkeys(one.name for one in named if one.kind == "machine")
    calls = [CallRecord("ssh", {**decision.calls[0].arguments, "machine": name}) for name in names]
    return replace(decision, calls=tuple(calls[:MOST])) if len(calls) > 1 else decision


def _scenes(numbered: Sequence[tuple[int, str]], project: str, world: World) -> list[CallRecord]:
    """Returns a call for each numbered text: the scenes that are there are changed, the others are new."""
    named = next((one for one in world.of_kind("project") if project in (one.id, one.name)), None)
    title = named.name if named is not None else project
    there = {one.number for one in world.of_kind("scene") if one.parent == title}
    return [
        CallRecord("edit_project.change_scene", {"project": title, "scene": str(number), "script": text})
        if number in there
        else CallRecord("edit_project.add_scene", {"project": title, "script": text})
        for number, text in numbered[:MOST]
    ]


def texts_of_others(script: str, world: World) -> list[tuple[str, str]]:
    """Returns the parts of a text that goes on with what another presenter says: “… By Vera: Hello.”; each
    with its presenter, the first one with none.
    """
    names = [one.name for one in world.of_kind("persona") if one.name]
    if ":" not in script or not names:
        return [("", script)]
    pattern = rf"(?<=[.!?])\s+[^.!?:]{{0,40}}?(?<!\w)({'|'.join(map(re.escape, names))})\s*:\s+"
    found = list(re.finditer(pattern, script, re.IGNORECASE))
    ends = [*(match.start() for match in found), len(script)]
    parts = [("", script[: ends[0]].strip())]
    canonical = {name.lower(): name for name in names}
    return parts + [
        (canonical[match[1].lower()], script[match.end() : end].strip())
        for match, end in zip(found, ends[1:], strict=True)
    ]


def _texts_by_presenter(text: str, presenters: Sequence[str]) -> list[tuple[str, str]]:
    """Returns who says what, where each says something else: “Vera says hello and Milo says goodbye”."""
    if not presenters:
        return []
    names = "|".join(map(re.escape, presenters))
    says = rf"(?<!\w)({names}) (?:{changes.change_words().patterns['says'].pattern})[:,]? *"
    found = list(re.finditer(says, text, re.IGNORECASE))
    if not found:
        return []
    ends = [*(match.start() for match in found[1:]), len(text)]
    canonical = {name.lower(): name for name in presenters}
    return [
        (canonical[match[1].lower()], _LINK.sub("", text[match.end() : end]).strip(' "“”„,;'))
        for match, end in zip(found, ends, strict=True)
    ]


def _ask(calls: list[CallRecord], best: Candidate) -> Decision:
    return ask_about("confirm", calls, (best,), question="confirm_all")
