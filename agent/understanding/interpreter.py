"""Decides what an utterance leads to: calls, a question, an answer, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from agent.understanding import values
from agent.understanding.candidates import (
    FREE_TEXTS,
    is_half_timed,
    is_two_kinds,
    missing,
    own,
    plain,
    says_pronoun,
    waits,
)
from agent.understanding.dialogue import FOCUS_SLOTS, CallRecord, Dialogue, Question
from agent.understanding.intents import DESTRUCTIVE, READS, reverse_of
from agent.understanding.plans import Step, read_steps
from agent.understanding.reader import MOST_CHARS, Candidate, Reader
from agent.understanding.sentence import quotations
from agent.understanding.slots import Filled
from agent.understanding.when import asks_to_wait
from agent.understanding.world import World, fold

Kind = Literal["calls", "ask", "chat", "refuse", "nothing", "confirm", "decline", "plan"]

SURE_READ = 0.4
SURE_WRITE = 0.45
SURE_CHANGED = 0.8
SURE_NO_REQUEST = 0.25
"""From here on a text asks for nothing, although the grammar finds a change in it."""
SURE_AT_ONCE = 0.9
"""From here on a change is made without asking, where nothing else speaks against it."""
SURE_NOTHING = 0.45
SURE_OTHER = 0.75
"""From here on an utterance is a new wish although a question is open."""
SHORT_WORDS = 9
"""A longer utterance is no correction without a word that says so."""

_LISTS: Mapping[str, str] = {
    "list_renders": "render",
    "list_projects": "project",
    "list_machines": "machine",
    "list_personas": "persona",
    "cluster_status": "job",
    "snapshots.list": "snapshot",
}
_SHOWS: Mapping[str, tuple[str, str]] = {
    "render": ("show_render", "render"),
    "project": ("list_projects", "project"),
    "machine": ("list_machines", "machine"),
    "job": ("cluster_status", "job"),
    "scene": ("list_projects", "scene"),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """Says what an utterance leads to. `about`: why it asks, or which answer it is; `question`: what it asks.

    `calls`: in their order.
    """

    kind: Kind
    calls: tuple[CallRecord, ...] = ()
    about: str = ""
    question: Question | None = None
    candidates: tuple[Candidate, ...] = ()
    unknown: Mapping[str, str] | None = None
    topic: str = ""
    steps: tuple[Step, ...] = ()
    """Of a plan: what is done when; none where it could not be read. `calls` has them all."""


@dataclass(frozen=True)
class Interpreter:
    """Free of state: the dialogue comes with each utterance."""

    reader: Reader

    def interpret(self, utterance: str, world: World, dialogue: Dialogue, now: datetime) -> Decision:
        """Returns the decision on an utterance. Nothing that it names is looked up outside `world`."""
        if utterance.lstrip()[:1] in ("{", "[") and '"' in utterance:
            return Decision("ask", about="not_words")
        if not any(char.isalnum() for char in utterance):
            return Decision("ask" if not utterance.strip() else "chat", about="empty")
        decision = _Turn(self.reader, world, dialogue, now).interpret(utterance)
        intents = [*(call.intent for call in decision.calls), *(one.intent for one in decision.candidates)]
        likeliest = next(iter(intents), "")
        if decision.kind != "plan" and not asks_to_wait(utterance, likeliest, now, reads=likeliest in READS):
            return decision

        def read(text: str, state: Dialogue) -> Decision:
            return _Turn(self.reader, world, replace(state, question=None, calls=()), now).interpret(text)

        steps = read_steps(utterance, read, world, dialogue, now)
        if not steps:
            return decision
        calls = tuple(call for step in steps for call in step.calls)
        return replace(decision, kind="plan", steps=steps, calls=calls, question=None)

    def answer(self, utterance: str, world: World, dialogue: Dialogue, now: datetime) -> Decision | None:
        """Returns the decision that an answer to the open question leads to; None where it is no answer."""
        question = dialogue.question
        if question is None or not any(char.isalnum() for char in utterance):
            return None
        candidates = self.reader.read(utterance, world, dialogue.focus(), now)
        return _Turn(self.reader, world, dialogue, now)._answer(question, utterance, candidates)

    def agrees(self, intent: str, arguments: Mapping[str, Any], text: str, world: World) -> bool:
        """Returns whether what the grammar found may be meant: one wish, by a presenter that exists, and an
        intent that is not out of the question. “My brother's T-shirt says turn off all machines” is none.
        """
        persona = arguments.get("persona")
        if isinstance(persona, str) and not world.has(persona):
            return False
        if len(self.reader.divide(text, world)) > 1:
            return False
        return self.is_likely(intent, text, world)

    def is_likely(self, intent: str, text: str, world: World) -> bool:
        """Returns whether a text may ask for an intent, and is no statement, denial or report."""
        if asks_to_wait(text, intent, datetime.now(), reads=intent in READS):
            return False
        return intent in READS or self.reader.probability("act.nothing", text, world) < SURE_NO_REQUEST

    def next_dialogue(self, dialogue: Dialogue, decision: Decision, world: World) -> Dialogue:
        """Returns the state after the decision was carried out."""
        if decision.kind == "calls":
            after = dialogue.after_calls(decision.calls)
            last = decision.calls[-1]
            kind = _LISTS.get(last.intent)
            if kind == "project" and last.arguments.get("project"):
                scenes = [
                    thing.name or str(thing.number)
                    for thing in world.things
                    if thing.kind == "scene" and thing.parent == last.arguments["project"]
                ]
                return after.showing("scene", scenes)
            return after.showing(kind, [thing.name for thing in world.of_kind(kind)]) if kind else after
        if decision.question is not None:
            return dialogue.asking(decision.question)
        if decision.kind in ("confirm", "decline"):
            return replace(dialogue, question=None)
        return dialogue.age_question()


@dataclass(frozen=True)
class _Turn:
    """One utterance in its state."""

    reader: Reader
    world: World
    dialogue: Dialogue
    now: datetime

    def interpret(self, utterance: str) -> Decision:
        parts = self.reader.divide(utterance, self.world)
        if len(parts) == 1:
            return self._one(utterance)
        return self._several(parts, utterance)

    def _several(self, parts: Sequence[str], utterance: str) -> Decision:
        """Returns the calls of all clauses, or what keeps one of them from being understood."""
        dialogue = self.dialogue
        calls: list[CallRecord] = []
        found: list[Decision] = []
        for part in parts:
            decision = _Turn(self.reader, self.world, dialogue, self.now)._one(part)
            if decision.kind == "calls":
                dialogue = dialogue.after_calls(decision.calls)
                calls += decision.calls
            found.append(decision)
        if any(one.kind == "plan" for one in found) or (
            len(calls) > 1
            and values.matches("condition", self._rest(utterance))
            and any(call.intent not in READS for call in calls)
        ):
            return Decision("plan", about="condition", calls=tuple(calls))
        offered = [call for one in found for call in _offered(one)]
        if len(offered) > len(calls) and all(_offered(one) for one in found):
            candidates = tuple(one for each in found for one in each.candidates)
            return Decision(
                "ask",
                about="confirm",
                candidates=candidates,
                question=Question("confirm_all", choices=tuple(offered)),
            )
        pending = next((one for one in found if one.kind in ("ask", "confirm", "refuse")), None)
        if calls and pending is not None:
            whole = self._one(utterance)
            if (
                whole.kind in ("calls", "plan")
                and len(calls) == 1
                and pending.kind == "ask"
                and whole.calls
                and whole.calls[0].intent == calls[0].intent
            ):
                return whole
            return replace(pending, kind="ask", about=f"part:{pending.about}", question=None)
        if calls:
            return Decision(
                "calls",
                calls=tuple(calls),
                candidates=tuple(one for each in found for one in each.candidates),
            )
        return self._one(utterance)

    def _rest(self, text: str) -> str:
        sentence, _ = self.reader.best_sentence(text, text, self.world)
        return " ".join(token.text for token in sentence.tokens)

    def _one(self, text: str) -> Decision:
        candidates = self.reader.read(text, self.world, self.dialogue.focus(), self.now)
        question = self.dialogue.question
        if question is not None:
            answered = self._answer(question, text, candidates)
            if answered is not None:
                return answered
        best = candidates[0]
        if best.tool is None and len(text.split()) < 6 and (chosen := self._chosen(text)) is not None:
            return chosen
        changed = self._changed(text, candidates) if best.tool is None or best.sureness < SURE_OTHER else None
        if changed is not None:
            return changed
        if best.tool is None:
            return self._act(best, candidates, text)
        sure = SURE_READ if best.intent in READS else SURE_WRITE
        if best.sureness < sure:
            return self._unsure(candidates)
        if best.intent not in READS:
            if waits(best):
                return Decision("plan", about="condition", candidates=(best,))
            if self._is_doubtful(best):
                return self._confirm(best, text)
        return self._call_or_ask(best, text)

    def _is_doubtful(self, candidate: Candidate) -> bool:
        """Returns whether words of the clause speak against a call, or for an argument that was not found."""
        slot_names = self.reader.slots.get(candidate.intent, ())
        return bool(
            candidate.sureness < SURE_AT_ONCE
            or candidate.unread
            or candidate.loose
            or values.matches("negation", own(candidate, candidate.text))
            or any(
                slot in slot_names and values.is_contradicted(slot, candidate.text, candidate.arguments)
                for slot in ("privacy", "shape", "quality")
            )
            or values.says("repairs", candidate.text)
            or values.says("musing", candidate.rest)
            or values.missing_cue(candidate.rest, candidate.arguments, slot_names) is not None
            or ("count" in slot_names and values.matches("number", candidate.rest))
            or (
                "variables" in slot_names and "variables" not in candidate.arguments and "=" in candidate.text
            )
            or ("publish_at" in slot_names and is_half_timed(candidate))
            or (
                "render" in slot_names
                and "render" not in candidate.arguments
                and not self.dialogue.last.get("render")
            )
            or self.reader.may_divide(candidate.text, self.world)
        )

    def _confirm(self, candidate: Candidate, text: str) -> Decision:
        """Returns the call as a question, where it is complete."""
        decision = self._call_or_ask(candidate, text)
        if decision.kind != "calls":
            return decision
        return Decision(
            "ask",
            about="confirm",
            candidates=(candidate,),
            question=Question("confirm", choices=decision.calls),
        )

    def _unsure(self, candidates: Sequence[Candidate]) -> Decision:
        if candidates[0].tool is not None and missing(candidates[0].intent, plain(candidates[0].arguments)):
            pending = self._call_or_ask(candidates[0], candidates[0].text)
            if pending.kind == "ask":
                return pending
        choices = []
        for candidate in candidates:
            if candidate.tool is not None and candidate.sureness >= 0.08:
                arguments = plain(candidate.arguments)
                if not candidate.unknown and not missing(candidate.intent, arguments):
                    choices.append(CallRecord(candidate.intent, arguments))
        return Decision(
            "ask",
            about="unsure",
            candidates=tuple(candidates),
            question=Question("unsure", choices=tuple(choices[:3])),
        )

    def _call_or_ask(self, candidate: Candidate, text: str) -> Decision:
        arguments = plain(candidate.arguments)
        if candidate.unknown:
            slot = next(iter(candidate.unknown))
            question = Question("unknown", candidate.intent, arguments, (slot,))
            return Decision(
                "ask", about="unknown", candidates=(candidate,), question=question, unknown=candidate.unknown
            )
        if candidate.intent in ("cancel_render.delete", "edit_project.delete") and is_two_kinds(
            candidate, self.world, text
        ):
            name = str(arguments.get("render") or arguments.get("project"))
            choices = (
                CallRecord("edit_project.delete", {"project": name}),
                CallRecord("cancel_render.delete", {"render": name}),
            )
            return Decision(
                "ask", about="which", candidates=(candidate,), question=Question("which", choices=choices)
            )
        for group in missing(candidate.intent, arguments):
            name, last = self._from_conversation(group)
            if last is None or (candidate.intent in DESTRUCTIVE and self.dialogue.recent_kind != name):
                question = Question("missing", candidate.intent, arguments, tuple(group))
                return Decision("ask", about="missing", candidates=(candidate,), question=question)
            arguments[name] = last
        self._from_focus(candidate.intent, arguments, text)
        return Decision("calls", calls=(CallRecord(candidate.intent, arguments),), candidates=(candidate,))

    def _from_conversation(self, group: Sequence[str]) -> tuple[str, str | None]:
        """Returns the argument of a group that the conversation can fill, and its value."""
        for name in group:
            kind = FOCUS_SLOTS.get(name)
            if (
                kind is not None
                and self.dialogue.last.get(kind)
                and (len(group) == 1 or self.dialogue.recent_kind == kind)
            ):
                return name, self.dialogue.last[kind]
        return group[0], None

    def _from_focus(self, intent: str, arguments: dict[str, Any], text: str) -> None:
        """Fills what is optional from the conversation: the video, project or machine last spoken of."""
        last = self.dialogue.last
        tool = intent.partition(".")[0]
        if (
            tool in ("show_render", "cancel_render", "retry_render", "publish_render")
            and "render" not in arguments
            and last.get("render")
        ):
            arguments["render"] = last["render"]
        if (
            tool == "edit_project"
            and intent != "edit_project.create"
            and "project" not in arguments
            and last.get("project")
        ):
            arguments["project"] = last["project"]
        if (
            tool in ("list_machines", "cluster_status")
            and not arguments
            and says_pronoun(text)
            and self.dialogue.recent_kind == "machine"
        ):
            arguments["machine" if tool == "list_machines" else "node"] = last["machine"]

    def _act(self, best: Candidate, candidates: Sequence[Candidate], text: str) -> Decision:
        act = best.intent.partition(".")[2]
        dialogue = self.dialogue
        if best.intent == "plan.condition":
            return Decision(
                "plan" if best.sureness >= 0.4 else "ask", about="condition", candidates=tuple(candidates)
            )
        if act == "nothing":
            return Decision(
                "nothing" if best.sureness >= SURE_NOTHING else "ask",
                about="nothing",
                candidates=tuple(candidates),
            )
        if act == "out_of_scope":
            return Decision(
                "refuse" if best.sureness >= 0.35 else "ask", about=act, candidates=tuple(candidates)
            )
        if act == "undo":
            reversed_calls = [reverse for call in reversed(dialogue.calls) for reverse in reverse_of(call)]
            if reversed_calls and best.sureness >= 0.4:
                return Decision("calls", calls=tuple(reversed_calls), about="undo", candidates=(best,))
            return Decision("ask", about="undo")
        if act == "why":
            return self._chosen(text) or self._why(best)
        if act == "choice":
            return self._chosen(text) or Decision("ask", about=act)
        if act == "yes":
            return Decision("confirm", about=act) if dialogue.calls else Decision("chat", about=act)
        if act in ("no", "stop_talking"):
            return Decision("decline", about=act)
        if act in ("correction", "more"):
            return self._next_best(candidates, text) or Decision(
                "ask", about=act, candidates=tuple(candidates)
            )
        topic = str(best.arguments.get("topic", "")) if act == "help" else ""
        return Decision(
            "chat" if best.sureness >= 0.3 else "ask", about=act, topic=topic, candidates=tuple(candidates)
        )

    def _next_best(self, candidates: Sequence[Candidate], text: str) -> Decision | None:
        """Returns what the next intent leads to, where an utterance changes nothing of the last calls."""
        candidate = next((one for one in candidates if one.tool is not None and one.sureness >= 0.05), None)
        if candidate is None:
            return None
        decision = self._call_or_ask(candidate, text)
        if decision.kind != "calls" or candidate.intent in READS:
            return decision if decision.kind == "calls" else None
        return Decision(
            "ask",
            about="confirm",
            candidates=(candidate,),
            question=Question("confirm", choices=decision.calls),
        )

    def _why(self, best: Candidate) -> Decision:
        kind = self.dialogue.recent_kind
        if kind in _SHOWS and self.dialogue.last.get(kind):
            intent, slot = _SHOWS[kind]
            return Decision(
                "calls",
                calls=(CallRecord(intent, {slot: self.dialogue.last[kind]}),),
                about="why",
                candidates=(best,),
            )
        failed = next((thing for thing in self.world.of_kind("render") if thing.state == "failed"), None)
        if failed is not None and not self.dialogue.calls:
            return Decision(
                "calls",
                calls=(CallRecord("show_render", {"render": failed.name}),),
                about="why",
                candidates=(best,),
            )
        return Decision("chat", about="why")

    def _chosen(self, text: str) -> Decision | None:
        """Returns the call that shows a chosen thing of the last list."""
        for kind, names in self.dialogue.shown.items():
            place = values.ordinal(text)
            if place is not None and names and abs(place) <= len(names) and place != 0 and kind in _SHOWS:
                intent, slot = _SHOWS[kind]
                return Decision(
                    "calls",
                    calls=(CallRecord(intent, {slot: names[place - 1 if place > 0 else place]}),),
                    about="choice",
                )
        return None

    def _answer(self, question: Question, text: str, candidates: Sequence[Candidate]) -> Decision | None:
        """Returns the decision that an answer to the open question leads to; None for something else."""
        best = candidates[0]
        if best.intent in ("act.no", "act.stop_talking") and best.sureness > 0.5:
            return Decision("decline", about="no")
        if question.about == "confirm_all":
            yes = best.intent == "act.yes" and best.sureness > 0.3
            return (
                Decision("calls", calls=question.choices, about="choice", candidates=(best,)) if yes else None
            )
        if question.choices:
            chosen = self._choice_of(question, text, best)
            if chosen is not None:
                return Decision("calls", calls=(chosen,), about="choice", candidates=(best,))
        if question.missing and not (
            best.tool and best.intent != question.intent and best.sureness >= SURE_OTHER
        ):
            return self._with_missing(question, text, best)
        return None

    def _choice_of(self, question: Question, text: str, best: Candidate) -> CallRecord | None:
        if best.intent == "act.yes" and len(question.choices) == 1:
            return question.choices[0]
        place = values.ordinal(text) if len(text.split()) < 6 else None
        if place is not None and place != 0 and abs(place) <= len(question.choices):
            return question.choices[place - 1 if place > 0 else place]
        if (
            best.tool is not None
            and best.sureness >= SURE_OTHER
            and best.intent not in {one.intent for one in question.choices}
        ):
            return None
        lower_words = fold(text)
        fitting = [
            choice
            for choice in question.choices
            if any(word in lower_words for word in _TELLING.get(choice.intent, ()))
            or any(
                isinstance(value, str) and len(fold(value)) > 2 and fold(value) in lower_words
                for value in choice.arguments.values()
            )
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _with_missing(self, question: Question, text: str, best: Candidate) -> Decision | None:
        filled = Filled()
        if len(text) <= MOST_CHARS:
            # A longer answer is the text itself.
            filled = self.reader.fill_as(question.intent, text, self.world, self.dialogue.focus(), self.now)
        arguments = {**question.arguments, **plain(filled.arguments)}
        if not any(arguments.get(name) not in (None, "") for name in question.missing):
            free = next((name for name in question.missing if name in FREE_TEXTS), None)
            if (
                free is None
                or best.intent in ("act.help", "act.why", "act.thanks")
                or (best.intent == "act.greeting" and len(text.split()) < 2)
            ):
                return None
            arguments[free] = text.strip().strip('"“”„').strip()
        candidate = Candidate(question.intent, arguments, 1.0, text, filled.unknown)
        return self._call_or_ask(candidate, text)

    def _changed(self, text: str, candidates: Sequence[Candidate]) -> Decision | None:
        """Returns the last call with other arguments: “sorry, Vera instead”, “same for bolt”."""
        best = candidates[0]
        if not self.dialogue.calls:
            return None
        says_so = best.intent in ("act.correction", "act.more") and best.sureness > 0.3
        if best.tool is not None and best.sureness > 0.5 and not missing(best.intent, plain(best.arguments)):
            return None
        if not says_so and (
            len(text.split()) > SHORT_WORDS
            or (
                best.tool is None
                and best.intent not in ("act.choice", "act.nothing", "act.correction", "act.more")
            )
            or best.sureness > 0.6
        ):
            return None
        last = self.dialogue.calls[-1]
        merged = self._merged(last, text, "act.correction" if best.intent == "act.correction" else "act.more")
        if merged is None:
            return None
        call = CallRecord(last.intent, merged)
        if last.intent not in READS and (
            best.sureness < SURE_CHANGED or quotations(text) or self.reader.may_divide(text, self.world)
        ):
            return Decision(
                "ask", about="confirm", candidates=(best,), question=Question("confirm", choices=(call,))
            )
        return Decision("calls", calls=(call,), about=best.intent.partition(".")[2], candidates=(best,))

    def _merged(self, last: CallRecord, text: str, act: str) -> dict[str, Any] | None:
        """Returns the arguments of the last call with those that the utterance changes; else None."""
        slots = set(self.reader.slots.get(last.intent, ()))
        lower_words: dict[str, Any] = {}
        for intent in (act, last.intent):
            filled: Filled = self.reader.fill_as(intent, text, self.world, self.dialogue.focus(), self.now)
            for name, value in plain(filled.arguments).items():
                target = _TWINS.get(name, name) if name not in slots else name
                if (
                    target in slots
                    and target not in lower_words
                    and not (intent == last.intent and name in FREE_TEXTS)
                ):
                    lower_words[target] = value
        changed = {name: value for name, value in lower_words.items() if last.arguments.get(name) != value}
        if not changed:
            return None
        arguments = {**last.arguments, **changed}
        if "project" in changed and "script" not in changed:
            arguments.pop("script", None) if last.intent == "make_render" else None
        if "render" in changed or "machine" in changed or "scene" in changed:
            arguments.pop("scene_numbers", None)
        return arguments


_TWINS = {
    "machine": "machines",
    "machines": "machine",
    "node": "machine",
    "render": "video",
    "video": "render",
}
_TELLING: Mapping[str, tuple[str, ...]] = {
    "edit_project.delete": ("project", "projekt"),
    "cancel_render.delete": ("video", "clip", "film", "movie"),
}


def _offered(decision: Decision) -> tuple[CallRecord, ...]:
    """Returns the calls of a decision, also where they wait for a yes."""
    if decision.kind == "ask" and decision.about == "confirm" and decision.question is not None:
        return decision.question.choices
    return decision.calls if decision.kind == "calls" else ()
