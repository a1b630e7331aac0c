"""Makes the calls of a turn: asks for a yes where one is due, and withdraws what is replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.answering.asking import AskingTurn
from agent.answering.calls import change_project_first, prepare_record, record_of, undo_of, with_ids, words_of
from agent.answering.deciding import CERTAIN, CORRECTIONS
from agent.answering.replies import is_assent
from agent.events import ApprovalRequested, BrainEvent, Text, Understood
from agent.tools.toolset import ToolCall, prepare_call
from agent.understanding.corrections import wants_both
from agent.understanding.decision import Decision
from agent.understanding.dialogue import INSTEAD, CallRecord, Question
from agent.understanding.intents import MAKES_VIDEOS, NEEDS_YES
from agent.understanding.open_questions import is_bare_choice
from agent.understanding.wording import EMPTY_LINE
from soundstage.errors import Invalid


@dataclass
class CallingTurn(AskingTurn):
    """The part of an answer that calls tools."""

    def _changes(self) -> tuple[CallRecord, ...]:
        """Returns the calls of this turn that changed something, with the ids of what they changed."""
        return tuple(
            with_ids(record_of(call), returned.result)
            for call, returned in self.caller.completed
            if call.act.effect != "read"
        )

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
