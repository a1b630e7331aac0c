"""The state of a conversation between two utterances: a value that the session's row keeps as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from agent.understanding.slots import Focus

SHOWN = 20
CALLS = 6
QUESTION_TURNS = 2
"""An open question is dropped after so many utterances that do not answer it."""

Effect = Literal["", "read", "change"]
"""What an utterance leads to: "" is nothing that somebody wants done, "change" may be a question first."""

YES_OR_NO = frozenset({"sure", "confirm", "confirm_all"})
"""Questions that nothing but a yes or a no answers."""

INSTEAD = "instead"
"""The intent of a question whose call takes the place of the last one."""

UNDO = "undo"
"""The intent of a question whose calls take the last ones back."""

SAME_TITLE = "same_title"
"""The question whether a new project is one that has its title already."""

FOCUS_SLOTS: Mapping[str, str] = {
    "persona": "persona",
    "project": "project",
    "render": "render",
    "video": "render",
    "machine": "machine",
    "machines": "machine",
    "node": "machine",
    "job": "job",
    "playbook": "playbook",
    "scene": "scene",
    "run": "run",
}


ADDS_TO_LIST: Mapping[str, str] = {
    "make_render": "render",
    "write_script.film": "render",
    "cancel_render.delete": "render",
    "edit_project.create": "project",
    "edit_project.copy": "project",
    "edit_project.delete": "project",
    "write_script.draft": "project",
}
"""Intents after which a list of things of a kind has others in it."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call of an earlier answer, with its intent."""

    intent: str
    arguments: Mapping[str, Any]

    @classmethod
    def of(cls, tool: str, arguments: Mapping[str, Any]) -> CallRecord:
        """Returns a call whose action, if there is one, stands in its arguments."""
        rest = dict(arguments)
        action = rest.pop("action", None)
        return cls(f"{tool}.{action}" if action else tool, rest)


@dataclass(frozen=True, slots=True)
class Question:
    """Holds what the last answer asked. `missing`: arguments of which one is needed; `choices`: calls."""

    about: str
    intent: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    choices: tuple[CallRecord, ...] = ()
    age: int = 0


@dataclass(frozen=True, slots=True)
class Dialogue:
    """`last`: the thing last spoken of, by kind; `shown`: names in the order of the last list, by kind;
    `calls`: those of the last answer that made any. `film`: the last one that made a video, until something
    else of the studio is changed; `film_before`: the one before it, which is back when it is taken back.
    """

    last: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    calls: tuple[CallRecord, ...] = ()
    question: Question | None = None
    recent_kind: str = ""
    film: CallRecord | None = None
    film_before: CallRecord | None = None

    def focus(self) -> Focus:
        return Focus(self.last, self.shown, self.recent_kind)

    def after_calls(self, calls: Sequence[CallRecord]) -> Dialogue:
        """Returns the state after an answer that made calls."""
        last, shown = dict(self.last), dict(self.shown)
        kind = self.recent_kind
        for call in calls:
            # A list from before is not what its places are of any more.
            shown.pop(ADDS_TO_LIST.get(call.intent, ""), None)
            for slot, named in FOCUS_SLOTS.items():
                value = call.arguments.get(slot)
                if isinstance(value, str) and value and "," not in value:
                    last[named] = value
                    kind = named if slot not in ("persona", "playbook") else kind
            tool = call.intent.partition(".")[0]
            if tool in ("make_render", "retry_render") or call.intent == "write_script.film":
                last["render"] = str(call.arguments.get("render", "latest"))
                kind = "render"
            if call.intent == "write_script.draft":
                # It fills a project, a new one where none is named.
                last["project"] = str(call.arguments.get("project", "latest"))
                kind = "project"
            if call.intent == "ansible":
                last["run"] = str(call.arguments.get("run", "latest"))
                kind = "run"
            if call.intent in ("edit_project.create", "edit_project.copy", "edit_project.rename"):
                last["project"] = str(call.arguments.get("title", "latest"))
                kind = "project"
            if call.intent in ("create_persona.create", "create_persona.change") and call.arguments.get(
                "name"
            ):
                last["persona"] = str(call.arguments["name"])
            if call.intent == "change_machine.accept" and call.arguments.get("name"):
                last["machine"] = str(call.arguments["name"])
                kind = "machine"
        return replace(
            self, last=last, shown=shown, calls=tuple(calls)[-CALLS:], question=None, recent_kind=kind
        )

    def asking(self, question: Question) -> Dialogue:
        return replace(self, question=question)

    def age_question(self) -> Dialogue:
        """Returns the state after an utterance that did not answer the question."""
        if self.question is None:
            return self
        older = replace(self.question, age=self.question.age + 1)
        return replace(self, question=None if older.age >= QUESTION_TURNS else older)

    def showing(self, kind: str, names: Sequence[str]) -> Dialogue:
        return replace(self, shown={kind: tuple(names[:SHOWN])}, recent_kind=kind)
