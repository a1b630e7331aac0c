"""Answers one turn by the reader: decides, calls tools, asks, and keeps the state for the next turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.answering.asking import MOST_STEPS
from agent.answering.calling import CallingTurn
from agent.answering.calls import record_of, undo_of, words_of
from agent.answering.deciding import CERTAIN, AnsweringServices
from agent.answering.dialogue_updates import after_failure, with_result
from agent.answering.fitting_tools import fitting_tools, minimum_tools
from agent.answering.state import ConversationState, Proposal
from agent.answering.worlds import Worlds
from agent.events import Text
from agent.model.answers import Reading
from agent.sessions.service import OpenTurn, SessionService
from agent.tools.personas.voices import is_high
from agent.tools.services import ToolServices
from agent.tools.toolset import ToolCall, Toolset
from agent.turns.log import TurnLog
from agent.turns.tool_call import ToolCaller
from agent.understanding import NotUnderstood, Understanding
from agent.understanding.changes import matches
from agent.understanding.decision import Decision
from agent.understanding.dialogue import YES_OR_NO, CallRecord, Effect
from agent.understanding.intents import DESTRUCTIVE, READS
from agent.understanding.interpreter import Interpreter
from agent.understanding.language import language_of
from agent.understanding.reader import Reader
from policy import Principal
from soundstage.database import utcnow

_VOICES = {True: "voice_high", False: "voice_low", None: "voice_own"}
"""The reply that says how high a voice is."""
SURE_ENOUGH_TO_ASK = 0.6
"""From this sureness on words that may be somebody else's are asked back; from `CERTAIN` on, what reads is
answered.
"""


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
class ReaderTurn(CallingTurn):
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
            dialogue = after_failure(dialogue, record_of(self.caller.failed))
            state = replace(state, dialogue=dialogue)
        if self._changes():
            self.answers.worlds.forget(self.caller.principal)
        if completed:
            calls = Decision("calls", calls=tuple(call for call, _ in completed))
            dialogue = self.answers.interpreter.next_dialogue(dialogue, calls, self.world)
            for call, returned in completed:
                dialogue = with_result(dialogue, call, returned.result)
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

    def _just_proposed(self) -> bool:
        return 0 < len(self.log.result.proposals) <= MOST_STEPS
