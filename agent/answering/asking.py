"""Asks people: for what is missing, which of several is meant, and whether something shall be done."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rapidfuzz import fuzz, process

from agent.answering.calls import change_project_first, prepare_record, undo_of, words_of, words_of_thing
from agent.answering.deciding import OF_CHANGES, UNWRITTEN, DecidingTurn
from agent.answering.interrupted_plans import InterruptedPlan
from agent.answering.near_names import KIND_DELETED, deletions_like, rivals
from agent.answering.planning import calls_of, with_words_of_now, words_of_plan
from agent.events import Failure, Text
from agent.tools.personas.voices import with_voice
from agent.tools.plan import Change
from agent.understanding import NotUnderstood, Understanding
from agent.understanding.candidates import missing
from agent.understanding.decision import Decision
from agent.understanding.dialogue import SAME_TITLE, UNDO, YES_OR_NO, CallRecord, Question
from agent.understanding.slots import kinds_named
from agent.understanding.world import Thing, fold
from soundstage.errors import Invalid, SoundstageError

CHOICES = 3
MOST_VOICES, MOST_DELETIONS = 5, 5
MOST_STEPS = 8
"""Longer plans of a language model are no question: a yes to them would be to what nobody has read."""
LINE_CHARS = 200
"""Of what would be deleted, in a question."""
LIKE_NAME = 60.0
"""From here on, of 100, the spelling of a name is near enough to be offered."""

_ID = re.compile(r" \([a-z]{2,4}_[0-9a-z]{6,}\)")
_FARM_KINDS = frozenset({"machine", "job", "playbook", "run"})


@dataclass
class AskingTurn(DecidingTurn):
    """The part of an answer that asks. What is asked stays in `_pending` for the next state."""

    async def _call(self, decision: Decision) -> None:
        """Makes the calls of a decision."""
        raise NotImplementedError

    async def _go_on(self, interrupted: InterruptedPlan) -> Decision:
        self._answers_question = True
        self.world = await self._world(farm=False)
        self._interrupted = None
        lines = [self.replies.text("go_on", "stopped")]
        for name, calls in (("done", interrupted.ended), ("unknown", interrupted.unknown)):
            words = "; ".join(words_of(call, self.world, self.replies) for call in calls)
            lines += [self.replies.text("go_on", name, calls=words)] if words else []
        await self.log.emit(Text(text="\n".join(lines)))
        if not interrupted.left:
            return Decision("chat", about="nothing_left")
        about = "confirm_all" if len(interrupted.left) > 1 else "confirm"
        return Decision("ask", about=about, question=Question(about, choices=interrupted.left))

    async def _say(self, group: str, name: str, **values: str) -> None:
        await self.log.emit(Text(text=self.replies.text(group, name, **values)))

    def _name_of(self, kind: str, reference: str) -> str:
        """Returns the name of a thing that is called by its name or id."""
        found = (
            one.name for one in self.world.of_kind(kind) if fold(reference) in (fold(one.id), fold(one.name))
        )
        return next(found, reference)

    async def _question(self, text: str, question: Question, choices: Sequence[str]) -> None:
        self._pending = (question, tuple(choices))
        await self.log.emit(Text(text=text, choices=tuple(choices)))

    def _ambiguous(self, decision: Decision) -> tuple[Question, tuple[str, ...]] | None:
        """Returns the question which of several things of one name a change is about."""
        if len(decision.calls) != 1 or not decision.candidates or self._answers_question:
            return None
        [call] = decision.calls
        if prepare_record(self.answers.toolset, call, self.world).act.effect == "read":
            return None
        several = dict(decision.candidates[0].ambiguous)
        for slot in ("render", "project"):
            if isinstance(name := call.arguments.get(slot), str):
                kinds = kinds_named(call.intent, slot)
                named = [one for one in self.world.of_kind(*kinds) if fold(one.name) == fold(name)]
                several[slot] = tuple([one for one in named if not one.is_trashed] or named)
        for slot, things in several.items():
            if slot in call.arguments and len(things) > 1:
                some = things[:CHOICES]
                choices = tuple(
                    CallRecord(call.intent, _with_thing(call.arguments, slot, one)) for one in some
                )
                return Question("which", choices=choices), tuple(
                    words_of_thing(one, self.replies) for one in some
                )
        if others := rivals(call, self.utterance, self.world):
            return self._which((call, *others))
        return None

    def _which(self, calls: Sequence[CallRecord]) -> tuple[Question, tuple[str, ...]]:
        """Returns the question which of several calls is meant."""
        some = tuple(calls[:MOST_DELETIONS])
        return Question("which", choices=some), tuple(words_of(one, self.world, self.replies) for one in some)

    async def _ask(self, decision: Decision, parsed: Understanding | NotUnderstood) -> None:
        replies, question = self.replies, decision.question
        if question is None and decision.unknown:
            await self._say_unknown(decision.unknown)
        elif decision.about == "repeat":
            await self._repeat(question)
        elif decision.about == "exact" and question is not None:
            await self._question(replies.text("missing", "exact"), question, ())
        elif decision.about == "unsure" or question is None:
            await self._ask_unsure(decision, parsed)
        elif decision.about == UNWRITTEN:
            topic = str(question.arguments["topic"])
            await self._question(replies.text("missing", "text_about", topic=topic), question, ())
        elif decision.about == "voice":
            await self._ask_voice(decision.topic, question)
        elif decision.about == "missing":
            slot = question.missing[0]
            there = dict.fromkeys(_name(one) for one in self._things_for(question.intent, slot))
            names = [*there][:CHOICES]
            await self._question(self._words_of_missing(slot, question), question, names)
        elif question.intent == UNDO:
            await self._ask_to_take_back(question)
        elif question.about in YES_OR_NO:
            choices = tuple(
                with_words_of_now(part, self.world, replies)
                for one in question.choices
                for part in change_project_first(one)
            )
            about = question.about if len(choices) == len(question.choices) else "confirm_all"
            question = replace(question, about=about, choices=choices)
            which = self._ambiguous(replace(decision, calls=question.choices))
            if which is None:
                await self._ask_yes_or_no(question)
            else:
                await self._question(replies.text("ask", "which"), *which)
        elif decision.about == "unknown":
            await self._ask_unknown(decision, question)
        elif decision.about == SAME_TITLE:
            title = self._name_of("project", str(question.choices[0].arguments["project"]))
            labels = [replies.text("ask", name) for name in ("add_to_project", "other_project")]
            await self._question(replies.text("ask", SAME_TITLE, name=title), question, labels)
        else:
            labels = [words_of(call, self.world, replies) for call in question.choices]
            await self._question(replies.text("ask", "which"), question, labels)

    async def _ask_voice(self, kind: str, question: Question) -> None:
        """Asks which of the presenters with such a voice shall speak."""
        present = {one.id for one in self.world.of_kind("persona")}
        personas = [one for one in self.answers.services.studio.library.list() if one.id in present]
        film = self.state.dialogue.film
        speaker = fold(str((film.arguments if film is not None else {}).get("persona") or "nova"))
        than = next((one for one in personas if speaker in (fold(one.id), fold(one.name))), None)
        names = [one.name for one in with_voice(personas, kind, than)][:MOST_VOICES]
        calls = [CallRecord(question.intent, {**question.arguments, "persona": name}) for name in names]
        if calls and not any(missing(one.intent, one.arguments) for one in calls):
            question = replace(question, choices=tuple(calls))
        if names:
            await self._question(self.replies.text("ask", "voice"), question, names)
        else:
            await self._say("ask", "no_voice")

    def _words_of_missing(self, slot: str, question: Question) -> str:
        """Returns the question for an argument; for a text with the name of who speaks it."""
        persona = question.arguments.get("persona")
        if slot == "script" and persona:
            return self.replies.text("missing", "script_of", persona=self._name_of("persona", str(persona)))
        return self.replies.text("missing", slot if self.replies.has("missing", slot) else "about")

    async def _ask_to_take_back(self, question: Question) -> None:
        """Asks whether the changes of the last answer shall be taken back, with the ids of what they made."""
        calls = self._taken_back()
        if calls:
            await self._ask_yes_or_no(replace(question, choices=calls))
        else:
            await self._say("ask", "undo")

    def _taken_back(self) -> tuple[CallRecord, ...]:
        """Returns the calls that take the changes of the last answer back, the last one first."""
        return tuple(call for change in reversed(self.state.changes) for call in undo_of(change))

    async def _repeat(self, question: Question | None) -> None:
        """Puts the open question once more, in other words."""
        replies = self.replies
        if question is None:
            await self._say("chat", "explain")
            return
        slot = question.missing[0] if question.missing else "choice"
        text = replies.text("explain", slot if replies.has("explain", slot) else "choice")
        if question.missing and not replies.has("explain", slot):
            text = replies.text("missing", slot if replies.has("missing", slot) else "about")
        await self._question(text, question, self.state.choices)

    async def _ask_plan(self, decision: Decision) -> None:
        """Shows what would be done when; yes does what is for now and plans the others."""
        toolset, principal = self.answers.toolset, self.caller.principal
        calls = calls_of(decision.steps, toolset, principal, self.world, self.replies)
        choices = (self.replies.text("yes"), self.replies.text("no"))
        text = words_of_plan(decision.steps, self.world, self.replies)
        await self._question(text, Question("confirm_all", choices=calls), choices)

    async def _ask_yes_or_no(self, question: Question) -> None:
        """Asks whether calls shall be made; yes makes all of them."""
        question, goes = await self._possible(question)
        words = [words_of(call, self.world, self.replies) for call in question.choices]
        pending = self.replies.text("ask", "sure" if question.about == "sure" else "confirm")
        lines = (
            f" {words[0]}"
            if len(words) == 1
            else "".join(f"\n{at}. {one}" for at, one in enumerate(words, 1))
        )
        lines += "".join(goes)
        choices = (self.replies.text("yes"), self.replies.text("no"))
        await self._question(f"{pending}{lines}", question, choices)

    async def _possible(self, question: Question) -> tuple[Question, list[str]]:
        """Returns a question without those of several calls that are refused, and a line for each thing that
        the others would delete, and for what is refused. Raises for the first one where all are.
        """
        lines, possible, refused = [], [], []
        for call in question.choices:
            try:
                lines.append(await self._what_goes(call))
                possible.append(call)
            except SoundstageError as error:
                refused.append((call, self.translation.error(error)))
        if refused and not possible:
            raise refused[0][1]
        for call, why in refused:
            words = self.replies.text("ask", "not_that", what=words_of(call, self.world, self.replies))
            lines.append(f"\n• {words} {why.message} {why.hint}")
        return replace(question, choices=tuple(possible)), lines

    async def _what_goes(self, record: CallRecord) -> str:
        """Returns what a call would delete, a line for each thing, and nothing for other calls. Raises as the
        call would.
        """
        call = prepare_record(self.answers.toolset, record, self.world)
        if call.act.effect != "destructive":
            return ""
        plan = await self.caller.preview(call)
        shown = [] if plan is None else [_without_ids(one) for one in plan.changes]
        more = [] if len(shown) <= MOST_STEPS else [f"… {len(shown) - MOST_STEPS}"]
        lines = [self.translation.text(line) for line in (*shown[:MOST_STEPS], *more)]
        return "".join(f"\n• {line[:LINE_CHARS]}" for line in lines)

    async def _ask_unsure(self, decision: Decision, parsed: Understanding | NotUnderstood) -> None:
        about = decision.about.partition(":")[0]
        if decision.question is not None and decision.question.choices:
            labels = [words_of(call, self.world, self.replies) for call in decision.question.choices]
            name = "unsure" if len(labels) > 1 else "unsure_one"
            await self._question(self.replies.text("ask", name), decision.question, labels)
        elif about != "unsure" and self.replies.has("ask", about):
            # What was offered is not what is wanted.
            self._closed |= about == "correction"
            name, values = self._about_last(about)
            await self._say("ask", name, **values)
        elif about == "empty":
            await self._say("chat", "empty")
        else:
            await self.log.emit(self.translation.notice(not_understood(parsed)))

    def _about_last(self, about: str) -> tuple[str, dict[str, str]]:
        """Returns the question what shall be different in the video or project spoken of last."""
        dialogue = self.state.dialogue
        kind = "project" if dialogue.recent_kind == "scene" else dialogue.recent_kind
        name = self._name_of(kind, dialogue.last.get(kind, ""))
        if about not in OF_CHANGES - {"undo"} or kind not in ("render", "project") or not name:
            return about, {}
        return f"correction_of_{kind}", {"title": name}

    async def _ask_unknown(self, decision: Decision, question: Question) -> None:
        """Asks what an unknown name means; what other servers know is left to the tool, which tells more."""
        slot, name = next(iter((decision.unknown or {}).items()))
        kind = kinds_named(question.intent, slot)[0]
        if kind in _FARM_KINDS:
            call = CallRecord(question.intent, {**question.arguments, slot: name})
            await self._call(replace(decision, kind="calls", calls=(call,)))
            return
        if question.intent in KIND_DELETED and (like := deletions_like(name, self.utterance, self.world)):
            await self._question(self.replies.text("ask", "which"), *self._which(like))
            return
        there = [_name(one) for one in self._things_for(question.intent, slot)]
        near = [
            found
            for found, *_ in process.extract(
                name, there, scorer=fuzz.WRatio, limit=CHOICES, score_cutoff=LIKE_NAME
            )
        ]
        choices = tuple(dict.fromkeys(near or there))[:CHOICES]
        text = self.replies.text(
            "ask", "unknown" if choices else "unknown_none", kind=self.replies.kind(kind), name=name[:80]
        )
        await self._question(text, question, choices)

    async def _say_unknown(self, unknown: Mapping[str, str]) -> None:
        """Says that a condition names something that does not exist."""
        kind, name = next(iter(unknown.items()))
        words = {"kind": self.replies.kind(kind), "name": name[:80]} if kind else {"name": name[:80]}
        text = self.replies.text("refuse", "unknown_kind" if kind else "unknown", **words)
        await self.log.emit(Text(text=text))

    def _things_for(self, intent: str, slot: str) -> list[Thing]:
        kinds = kinds_named(intent, "video" if slot == "image" else slot)
        return [one for one in self.world.of_kind(*kinds) if _name(one)]


def not_understood(found: Understanding | NotUnderstood) -> Failure:
    """Returns the failure of a sentence that nobody understands, with examples that are close to it."""
    suggestions = found.suggestions if isinstance(found, NotUnderstood) else ()
    if isinstance(found, NotUnderstood) and found.several:
        two = Invalid(
            "agent.several_wishes", "These are several wishes in one sentence.", "Say one at a time."
        )
        return Failure(code=two.code, message=two.message, hint=two.hint)
    error = Invalid(
        "agent.not_understood",
        "I did not understand that sentence.",
        "Say “help” to see what can be asked for.",
    )
    hint = "Did you mean one of these?" if suggestions else error.hint
    return Failure(code=error.code, message=error.message, hint=hint, suggestions=suggestions)


def _without_ids(change: Change) -> str:
    """Returns one line of a plan as people read it."""
    where = "" if ": " in change.what else change.where
    return _ID.sub("", f"{change.what}: {where}" if where else change.what)


def _name(thing: Thing) -> str:
    return thing.name or (str(thing.number) if thing.number else "")


def _with_thing(arguments: Mapping[str, Any], slot: str, thing: Thing) -> dict[str, Any]:
    found = {name: value for name, value in arguments.items() if name != "scene_numbers"}
    if thing.kind == "scene":
        return {**found, slot: str(thing.number), "project": thing.parent}
    return {**found, slot: thing.id or thing.name}
