"""Answers one turn by the reader: decides, calls tools, asks, and keeps the state for the next turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent.answering.asking import MOST_STEPS, AskingTurn
from agent.answering.calls import (
    change_project_first,
    prepare_record,
    record_of,
    undo_of,
    with_ids,
    words_of,
)
from agent.answering.deciding import CERTAIN, CORRECTIONS, AnsweringServices
from agent.answering.fitting_tools import fitting_tools, minimum_tools
from agent.answering.replies import is_assent
from agent.answering.state import ConversationState, Proposal
from agent.answering.worlds import Worlds
from agent.events import ApprovalRequested, BrainEvent, Text, Understood
from agent.model.answers import Reading
from agent.sessions.service import OpenTurn, SessionService
from agent.tools.personas.voices import is_high
from agent.tools.services import ToolServices
from agent.tools.toolset import ToolCall, Toolset, prepare_call
from agent.turns.log import TurnLog
from agent.turns.tool_call import ToolCaller
from agent.understanding import NotUnderstood, Understanding
from agent.understanding.changes import matches
from agent.understanding.corrections import wants_both
from agent.understanding.decision import Decision
from agent.understanding.dialogue import (
    INSTEAD,
    SHOWN,
    YES_OR_NO,
    CallRecord,
    Dialogue,
    Effect,
    Question,
)
from agent.understanding.intents import DESTRUCTIVE, MAKES_VIDEOS, NEEDS_YES, READS
from agent.understanding.interpreter import Interpreter
from agent.understanding.language import language_of
from agent.understanding.open_questions import is_bare_choice
from agent.understanding.reader import Reader
from agent.understanding.references import KIND_OF_TOOL
from agent.understanding.wording import EMPTY_LINE
from policy import Principal
from soundstage.database import utcnow
from soundstage.errors import Invalid

_VOICES = {True: "voice_high", False: "voice_low", None: "voice_own"}
"""The reply that says how high a voice is."""
SURE_ENOUGH_TO_ASK = 0.6
"""From this sureness on words that may be somebody else's are asked back; from `CERTAIN` on, what reads is
answered.
"""
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


def effect_of(decision: Decision) -> Effect:
    """Returns what a decision about words leads to that may be somebody else's, or not what was said."""
    if decision.kind not in ("calls", "ask", "plan"):
        return ""
    sure = min((one.sureness for one in decision.candidates[: max(1, len(decision.calls))]), default=1.0)
    if sure < SURE_ENOUGH_TO_ASK:
        return ""
    reads = decision.kind == "calls" and all(one.intent in READS for one in decision.calls)
    return "read" if reads and sure >= CERTAIN else "change"


class ReaderAnswers(AnsweringServices):
    """Answers by the reader. Free of state: the state of a conversation is in its session."""

    @classmethod
    def of(
        cls, reader: Reader, toolset: Toolset, sessions: SessionService, services: ToolServices
    ) -> ReaderAnswers:
        """Returns the answers by a trained reader."""
        worlds = Worlds(services, reader.common_words)
        return cls(Interpreter(reader), toolset, sessions, services, worlds)

    async def names(self, principal: Principal) -> dict[str, list[str]]:
        """Returns the names of what a caller may name, by kind."""
        return (await self.worlds.of(principal, farm=True)).names()

    async def effect_of(self, principal: Principal, dialogue: str | None, text: str) -> Effect:
        """Returns what a text would lead to, without doing it. `dialogue`: that of the session."""
        state = ConversationState.from_json(dialogue, utcnow()).dialogue
        world = await self.worlds.of(principal, farm=True)
        decision = None
        if state.question is not None:
            decision = self.interpreter.answer(text, world, state, utcnow())
        decision = decision or self.interpreter.interpret(text, world, state, utcnow())
        return effect_of(decision)

    def open(self, caller: ToolCaller, turn: OpenTurn, utterance: str, log: TurnLog) -> ReaderTurn:
        """Returns the answer to one utterance, which begins with the state of its session."""
        state = ConversationState.from_json(turn.dialogue, utcnow())
        language = language_of(utterance, state.language)
        return ReaderTurn(self, caller, turn, utterance, log, replace(state, language=language))


@dataclass
class ReaderTurn(AskingTurn):
    """One answer. `next_state` is what its session keeps."""

    def reading_of(self, decision: Decision) -> Reading:
        """Returns what a language model gets of the reader: its candidates, and the tools that may fit."""
        reader = self.answers.interpreter.reader
        tools = fitting_tools(reader, self.utterance, self.world, decision.candidates)
        needed = minimum_tools(decision.candidates)
        return Reading(self.reading(decision), tools, needed, self.state.tools)

    def note_tools(self, tools: Sequence[str]) -> None:
        """Notes the tools that a language model had in this turn."""
        self.state = replace(self.state, tools=tuple(tools))

    def note_waiting(self, call: ToolCall) -> None:
        """Notes a call of this turn that waits for an approval: it can be taken back when it is done."""
        self._waiting = record_of(call)

    async def carry_out(self, decision: Decision, parsed: Understanding | NotUnderstood) -> None:
        """Makes the calls of a decision, or says what it comes to."""
        if decision.about == "undo" and self.state.approval_id is not None:
            await self._withdraw(self.state.approval_id)
            return
        match decision.kind:
            case "calls":
                await self._call(decision)
            case "ask":
                await self._ask(decision, parsed)
            case "plan" if decision.steps:
                await self._ask_plan(decision)
            case "plan":
                await self._say("refuse", "condition")
            case "refuse":
                known = self.replies.has("refuse", decision.about)
                await self._say("refuse", decision.about if known else "out_of_scope")
            case "decline":
                self._closed = True
                await self._say("chat", "decline")
            case "nothing":
                await self._say("chat", "nothing")
            case "confirm":
                await self._confirm()
            case "chat" if decision.about == "yes":
                await self._confirm()
            case "chat" if decision.about == "did":
                await self._list_changes()
            case "chat" if decision.about == "why_asked":
                await self._explain_question()
            case "chat" if decision.about in ("channels", "playbooks", "job_files"):
                await self._say("chat", decision.about, names=decision.topic)
            case "chat" if decision.about == "says_what":
                await self._say("chat", "says_what", script=decision.topic)
            case "chat" if decision.about == "voice_of":
                one = self.answers.services.studio.library.get(decision.topic)
                await self._say("chat", _VOICES[is_high(one.voice)], persona=one.name)
            case "chat" if decision.about == "who_is":
                one = self.answers.services.studio.library.get(decision.topic)
                words = {"title": one.title, "description": one.description}
                await self._say("chat", "who_is", persona=one.name, **words)
            case "chat" if decision.about == "who_spoke":
                await self._say("chat", "who_spoke", persona=self._name_of("persona", decision.topic))
            case "chat" if self.replies.has("chat", decision.about):
                await self._say("chat", decision.about)
            case _:
                await self._say("chat", "smalltalk")

    def next_state(self) -> ConversationState:
        """Returns the state after this turn, from the calls that were made and what was asked."""
        state = self.state
        dialogue = state.dialogue
        completed = [
            (record_of(call), returned)
            for call, returned in self.caller.completed
            if call is not self._cancelling
        ]
        if not completed and self.caller.failed is not None:
            dialogue = _after_failure(dialogue, record_of(self.caller.failed))
            state = replace(state, dialogue=dialogue)
        if self._changes():
            self.answers.worlds.forget(self.caller.principal)
        if completed:
            calls = Decision("calls", calls=tuple(call for call, _ in completed))
            dialogue = self.answers.interpreter.next_dialogue(dialogue, calls, self.world)
            for call, returned in completed:
                dialogue = _with_result(dialogue, call, returned.result)
            state = replace(state, dialogue=dialogue, changes=self._changes() or state.changes)
            state = self._with_offer(state) or state.without_question()
        elif self._pending is None:
            age_question = dialogue.age_question()
            # A yes after a change that failed is no answer to what was asked before it.
            gone = (
                self._closed
                or self.caller.has_begun_change
                or (age_question.question is None and not self._just_proposed())
            )
            state = replace(state, dialogue=age_question)
            state = state.without_question() if gone else state
        if self._pending is not None:
            question, choices = self._pending
            dialogue = state.dialogue.asking(question)
            return replace(state, dialogue=dialogue, choices=choices, proposals=(), pending_since=utcnow())
        if self._just_proposed():
            proposals = tuple(
                Proposal(event.tool, event.arguments, event.token) for event in self.log.result.proposals
            )
            return replace(state, proposals=proposals, pending_since=utcnow(), approval_id=None, waiting=None)
        if self._waiting is not None:
            # “It” is what waits from now on.
            spoken = state.dialogue.after_calls((self._waiting,))
            dialogue = replace(state.dialogue, last=spoken.last, recent_kind=spoken.recent_kind)
            state = replace(state, dialogue=dialogue)
        approval_id = self.log.result.approval_id
        if approval_id is None and not self._closed and not self._changes():
            # What only looks or asks leaves it waiting.
            return state
        return replace(state, approval_id=approval_id, waiting=self._waiting if approval_id else None)

    def _with_offer(self, state: ConversationState) -> ConversationState | None:
        """Returns a state in which what was offered before still waits for a yes, where this turn has only
        looked at something; None where it does not, and for what destroys.
        """
        question = self.state.dialogue.age_question().question
        if question is None or question.about not in YES_OR_NO or self._changes() or self._closed:
            return None
        if any(one.intent in DESTRUCTIVE for one in question.choices) or matches("corrects", self.utterance):
            return None
        return replace(state, dialogue=replace(state.dialogue, question=question))

    def _changes(self) -> tuple[CallRecord, ...]:
        """Returns the calls of this turn that changed something, with the ids of what they changed."""
        return tuple(
            with_ids(record_of(call), returned.result)
            for call, returned in self.caller.completed
            if call.act.effect != "read"
        )

    def _just_proposed(self) -> bool:
        return 0 < len(self.log.result.proposals) <= MOST_STEPS

    async def _call(self, decision: Decision) -> None:
        if decision.about == "undo":
            reversed_calls = self._taken_back()
            if not reversed_calls:
                await self._say("ask", "undo")
                return
            decision = replace(decision, calls=reversed_calls)
        records = tuple(one for call in decision.calls for one in change_project_first(call))
        decision = replace(decision, calls=records)
        if (which := self._ambiguous(decision)) is not None:
            question, choices = which
            await self._question(self.replies.text("ask", "which"), question, choices)
            return
        calls = [prepare_record(self.answers.toolset, call, self.world) for call in decision.calls]
        writes = [call for call in calls if call.act.effect != "read"]
        if len(calls) > 1 and EMPTY_LINE.search(self.utterance):
            # What follows an empty line is pasted more often than said.
            await self._say("ask", "part")
            return
        if writes and writes[0].rule in NEEDS_YES and not self._answers_question:
            # Only what waits now: what others queue until the yes is not shown, and so not cancelled.
            ids = [one.id for one in self.world.of_kind("render") if one.state == "queued"]
            record = CallRecord(decision.calls[0].intent, {"renders": ids} if ids else {})
            await self._ask_yes_or_no(Question("sure", choices=(record,)))
            return
        if writes and self._needs_yes(decision, writes):
            await self._ask_yes_or_no(Question("sure", choices=decision.calls[:1]))
            return
        if writes and self._answers_question and not await self._redeem():
            return
        if writes and self._takes_place_of_waiting() and self.state.approval_id is not None:
            await self.answers.services.withdraw(self.state.approval_id, self.caller.principal)
        if len(calls) > 1 and not self._answers_question:
            lines = [f"{place}. {words_of(call, self.world, self.replies)}"
                     for place, call in enumerate(decision.calls, start=1)]  # fmt: skip
            await self.log.emit(Text(text="\n".join([self.replies.text("plan", count=len(calls)), *lines])))
        if (replaced := self._replaced(decision)) is not None:
            self._cancelling = prepare_record(self.answers.toolset, replaced, self.world)
            await self._run(self._cancelling, replaced.intent)
        for call, record in zip(calls, decision.calls, strict=True):
            await self._run(call, record.intent)
        if replaced is not None and len(self._changes()) == 1:
            # Nothing has taken its place.
            again = CallRecord("retry_render", replaced.arguments)
            await self._run(prepare_record(self.answers.toolset, again, self.world), again.intent)
        changes = [one for one in self._changes() if undo_of(one)]
        if changes and decision.about != "undo":
            await self.log.emit(Text(text=self.replies.text("undo")))

    async def _list_changes(self) -> None:
        """Tells what the last answer that changed something has done."""
        if self.state.approval_id is not None:
            await self._say("chat", "did_waits")
            return
        if not self.state.changes:
            await self._say("chat", "did_nothing")
            return
        lines = [f"\n• {words_of(call, self.world, self.replies)}" for call in self.state.changes]
        back = self.replies.text("undo") if any(map(undo_of, self.state.changes)) else ""
        await self._say("chat", "did", calls="".join(lines), undo=back and f"\n{back}")

    async def _explain_question(self) -> None:
        """Tells why it asked or waits, and puts an open question once more."""
        question = self.state.dialogue.question
        if question is not None:
            name = "why_yes" if question.about in YES_OR_NO else "why_asked"
            await self._question(self.replies.text("chat", name), question, self.state.choices)
        else:
            await self._say("chat", "why_asks" if self.state.approval_id is None else "waits")

    async def _run(self, call: ToolCall, intent: str) -> None:
        await self.log.emit(Understood(intent=intent, tool=call.tool.name))
        outcome = await self.caller.run(call, self._emit)
        await self.log.emit(self.translation.message(outcome.text))
        if isinstance(outcome.event, ApprovalRequested):
            self._closed = True
            self._waiting = record_of(call)

    async def _emit(self, event: BrainEvent) -> None:
        await self.log.emit(self.translation.notice(event) if isinstance(event, ApprovalRequested) else event)

    async def _withdraw(self, approval_id: str) -> None:
        """Takes back what waits for an approval, or has been done since; nothing before it is meant."""
        state = await self.answers.services.withdraw(approval_id, self.caller.principal)
        waiting = self.state.waiting
        self._closed = True
        if state == "void":
            await self._say("chat", "withdrawn")
        elif state == "done" and waiting is not None:
            self.state = replace(self.state, changes=(waiting,))
            await self._call(Decision("calls", about="undo"))
        else:
            await self._say("ask", "undo")

    def _replaced(self, decision: Decision) -> CallRecord | None:
        """Returns the call that cancels the video in whose place a corrected one is made: “sorry, Vera”.

        A video that is done stays, and one to which somebody wants another (“that in 480p, too”).
        """
        question, changes = self.state.dialogue.question, self.state.changes
        intents = (*MAKES_VIDEOS, "retry_render")
        last = next((one for one in reversed(changes) if one.intent in intents), None)
        if last is None or len(decision.calls) != 1 or decision.calls[0].intent not in MAKES_VIDEOS:
            return None
        is_corrected = (
            question is not None
            and INSTEAD in (question.intent, question.about)
            and not (wants_both(self.utterance) and not self._chooses_one(question))
            if self._answers_question
            else decision.about == "look"
            or (decision.about in CORRECTIONS and not wants_both(self.utterance))
        )
        active = {one.id for one in self.world.films_in_work()}
        if not is_corrected or last.arguments.get("render") not in active:
            return None
        return CallRecord("cancel_render.cancel", {"render": last.arguments["render"]})

    def _takes_place_of_waiting(self) -> bool:
        """Returns whether what was agreed to takes the place of a call that still waits for approval."""
        question, waiting = self.state.dialogue.question, self.state.waiting
        is_instead = question is not None and INSTEAD in (question.intent, question.about)
        intents = () if question is None else [one.intent for one in question.choices]
        return self._answers_question and is_instead and waiting is not None and waiting.intent in intents

    def _chooses_one(self, question: Question) -> bool:
        """Returns whether “the second one” is one of several that were offered, and none beside the last."""
        return len(question.choices) > 1 and is_bare_choice(self.utterance)

    def _needs_yes(self, decision: Decision, writes: Sequence[ToolCall]) -> bool:
        """Returns whether a call that is not certain, or may be in a pasted text, needs a yes first."""
        if self._answers_question or decision.about == "undo" or len(decision.calls) > 1:
            return False
        sure = min((candidate.sureness for candidate in decision.candidates), default=1.0)
        [call] = writes
        return bool(EMPTY_LINE.search(self.utterance)) or (
            call.act.effect == "destructive" and sure < CERTAIN
        )

    async def _redeem(self) -> bool:
        """Takes the open question away, so that no other turn answers it; says so when one has."""
        self._closed = True
        if await self.answers.sessions.redeem_question(self.turn, self.state.without_question().to_json()):
            return True
        await self._say("chat", "answered")
        return False

    async def _confirm(self) -> None:
        """Runs the calls that a language model proposed, once and in their order, where nothing is deleted.
        Policy decides on each; when one fails, those after it do not run.
        """
        if not self.state.proposals:
            await self._say("chat", "no_question" if self.state.approval_id is None else "waits")
            return
        if not is_assent(self.utterance):
            # “Sam said yes” is not the yes of this person.
            await self._say("chat", "nothing")
            return
        calls = [prepare_call(self.answers.toolset, one.tool, one.arguments) for one in self.state.proposals]
        for call, proposal in zip(calls, self.state.proposals, strict=True):
            if call.token != proposal.token or call.act.effect == "destructive":
                raise Invalid(
                    "agent.not_confirmed",
                    "A “yes” is not enough for this.",
                    "Say in your own words what shall be done.",
                )
        if await self._redeem():
            for call in calls:
                await self._run(call, call.rule)

    async def show_proposals(self) -> None:
        """Shows the calls that a language model proposed in this turn as one plan that a yes runs."""
        proposals = self.log.result.proposals
        if not 1 < len(proposals) <= MOST_STEPS:
            return
        lines = [
            f"{place}. {words_of(CallRecord.of(one.tool, one.arguments), self.world, self.replies)}"
            for place, one in enumerate(proposals, start=1)
        ]
        text = "\n".join([self.replies.text("ask", "confirm"), *lines])
        await self.log.emit(Text(text=text, choices=(self.replies.text("yes"), self.replies.text("no"))))


def _with_result(dialogue: Dialogue, call: CallRecord, result: Mapping[str, Any]) -> Dialogue:
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
    return _with_list(dialogue, call.intent.partition(".")[0], result)


def _after_failure(dialogue: Dialogue, call: CallRecord) -> Dialogue:
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


def _with_list(dialogue: Dialogue, tool: str, result: Mapping[str, Any]) -> Dialogue:
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
