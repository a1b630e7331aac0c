"""Tells a new project from one that has its title already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count

from agent.understanding.decision import Decision, ask_about
from agent.understanding.dialogue import SAME_TITLE, YES_OR_NO, CallRecord
from agent.understanding.world import World, fold

CREATE = "edit_project.create"
_TELLING: Mapping[str, tuple[str, ...]] = {
    "list_projects": (" add ", " go on ", " go with ", " that one ", " this one ", " existing ", " old ",
                      " dazu ", " weiter", " vorhanden", " bestehend", " alte", " dieses ", " das da "),
    CREATE: (" another", " new ", " second ", " separate ", " neu", " anderes ", " zweites ", " weiteres "),
}  # fmt: skip


def with_own_title(decision: Decision, world: World) -> Decision:
    """Returns a decision in which a new project is none that is there: for the project alone it is asked
    which is meant; where more is done with the new one, it gets a number behind its title.
    """
    question = decision.question
    is_offered = question is not None and question.about in YES_OR_NO
    calls = question.choices if question is not None and is_offered else decision.calls
    titles = {fold(one.name): one for one in world.of_kind("project") if one.name}
    new = next((one for one in calls if one.intent == CREATE), None)
    title = str(new.arguments.get("title") or "") if new is not None else ""
    same = titles.get(fold(title))
    if new is None or same is None or decision.kind == "plan":
        return decision
    if len(calls) == 1:
        shown = CallRecord("list_projects", {"project": same.id or same.name})
        return ask_about(SAME_TITLE, (shown, new), decision.candidates)
    own = next(name for number in count(2) if fold(name := f"{title} {number}") not in titles)
    place = calls.index(new)
    calls = (*calls[:place], *(_called(one, title, own) for one in calls[place:]))
    if question is not None and is_offered:
        return replace(decision, question=replace(question, choices=calls))
    return replace(decision, calls=calls)


def choice_of_project(choices: tuple[CallRecord, ...], text: str) -> CallRecord | None:
    """Returns which of two projects of one title an answer means: “another one”."""
    spoken = f" {' '.join(text.lower().split()).strip(' .!,')} "
    fitting = [one for one in choices if any(word in spoken for word in _TELLING.get(one.intent, ()))]
    return fitting[0] if len(fitting) == 1 else None


def _called(call: CallRecord, title: str, own: str) -> CallRecord:
    """Returns a call on the new project by the title that is its own."""
    slot = "title" if call.intent == CREATE else "project"
    is_new = call.arguments.get(slot) == title
    return replace(call, arguments={**call.arguments, slot: own}) if is_new else call
