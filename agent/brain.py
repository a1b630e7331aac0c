"""Answers turns of conversations: maps utterances to tool calls and emits events, over any transport."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent import genai
from agent.answering.answers import ReaderAnswers, ReaderTurn
from agent.answering.asking import not_understood
from agent.answering.replies import Replies
from agent.answering.translation import Translation
from agent.events import ApprovalRequested, Done, Emit, Failure, Notice, Text, TurnBegan, Understood
from agent.model.answers import ModelAnswers, Reading
from agent.model.cost import ModelCost
from agent.presentation import as_text
from agent.sessions.schemas import CANCELLED
from agent.sessions.service import Conversation, OpenTurn, SessionService
from agent.tools import Toolset
from agent.tools.renders.lines import RenderLine
from agent.tools.services import ToolServices
from agent.tools.toolset import ToolCall, prepare_call
from agent.turns.log import LogWriteFailed, TurnLog
from agent.turns.render_watch import RenderWatch
from agent.turns.tool_call import ToolCaller
from agent.understanding import Grammar, HelpEntry, NotUnderstood, Understanding
from agent.understanding.asides import HOW
from agent.understanding.decision import Decision
from agent.understanding.language import DEFAULT
from agent.understanding.wording import with_capital
from soundstage.errors import SoundstageError, internal_error
from soundstage.tasks import finish
from soundstage.telemetry import get_logger, metrics, trace_id
from studio.renders.states import RenderState

HISTORY_TURNS = 10
BAD_ARGUMENTS = "tool.bad_arguments"
HISTORY_STEP = 5
"""So many turns leave the history at once: servers keep what they have read of an equal beginning."""


def model_failed(error: SoundstageError) -> Notice:
    """One sentence on why the fixed sentences have to do."""
    return Notice(code=error.code, text=f"{error.message} I understand fixed sentences meanwhile.")


def in_words(error: SoundstageError) -> SoundstageError:
    """Returns an error as people see it: names of arguments are left out, which are for programs."""
    if error.code != BAD_ARGUMENTS or ": " not in error.message:
        return error
    where, _, message = error.message.partition(": ")
    found = copy.copy(error)
    found.message = f"{message[:1].upper()}{message[1:]}".rstrip(".") + "."
    found.hint = "Say it once more, with that." if where == "arguments" else error.hint
    return found


def _history_turns(number: int) -> int:
    """Returns how many turns before turn `number` a model gets: from six to ten."""
    return HISTORY_TURNS - HISTORY_STEP + 1 + (number - 2) % HISTORY_STEP


@dataclass(kw_only=True)
class Brain:
    """Independent of transport and free of state: sessions live in the database, so many can talk at once.

    The grammar comes first, because what it understands it understands for certain and at once. The reader
    gets the rest, and sentences with a second wish; a language model, where there is one, gets what the
    reader is not certain of. Without it, or when it fails, the reader's decision stands.
    """

    grammar: Grammar
    toolset: Toolset
    sessions: SessionService
    services: ToolServices
    watch: RenderWatch
    model: ModelAnswers | None = None
    reader: ReaderAnswers | None = None

    def help_lines(self) -> list[HelpEntry]:
        """Returns what can be asked for, in the order of the tools."""
        order = {name: place for place, name in enumerate(self.toolset.tools)}
        return sorted(self.grammar.help, key=lambda entry: order.get(entry.tool or "", len(order)))

    def _help(self, topic: str, replies: Replies) -> Text:
        return Text(text=help_text(self.help_lines(), topic, replies))

    async def answer(
        self,
        conversation: Conversation,
        utterance: str,
        emit: Emit,
        *,
        follow: bool = False,
        request_id: str | None = None,
    ) -> None:
        """Answers an utterance: emits `TurnBegan` first and, unless cancelled, `Done` last.

        Events are buffered before the database (see TurnLog); `Done` is emitted after the last flush.

        With `follow`, the render of the answer is watched to its end. Failures are emitted as `Failure`; only
        an unknown session raises, before the first event. Cancelling this coroutine cancels the answer.
        """
        turn = await self.sessions.begin_turn(conversation, utterance, request_id)
        # The persona of the stored session: the caller's copy may be older.
        conversation = replace(conversation, persona_id=turn.persona_id)
        log, began_s, cancelled = TurnLog(self.sessions, turn, emit), time.perf_counter(), False
        try:
            with genai.invoke_agent(conversation.persona_id, turn.session_id, turn.number) as recorded:
                try:
                    async with log.flush_regularly():
                        await self._answer(conversation, turn, utterance, follow, log)
                finally:
                    recorded.set_attribute("soundstage.backend", log.result.backend)
        except asyncio.CancelledError:
            cancelled = True
            await log.add(Failure(code=CANCELLED, message="This answer was cancelled."))
            raise
        except LogWriteFailed as failed:
            await log.emit(Failure.of(failed.error))
        except SoundstageError as error:
            await log.emit(Failure.of(in_words(error)))
        except Exception:
            get_logger(__name__).exception("an answer broke", session=turn.session_id, turn=turn.number)
            await log.emit(Failure.of(internal_error()))
        finally:
            done = Done(session_id=turn.session_id, turn=turn.number, usage=log.result.usage)
            await log.add(done)
            result = "cancelled" if cancelled else "failed" if log.result.error_code else "ok"
            metrics.ROUTING.inc(log.result.backend, result)
            metrics.TURN_SECONDS.observe(time.perf_counter() - began_s)
            # Shielded: an answer that is cancelled twice still stores how it ended.
            await finish(log.end())
        await emit(done)

    async def _answer(
        self, conversation: Conversation, turn: OpenTurn, utterance: str, follow: bool, log: TurnLog
    ) -> None:
        await log.emit(TurnBegan(session_id=turn.session_id, turn=turn.number, trace_id=trace_id()))
        language = DEFAULT
        parsed = self.grammar.understand(utterance)
        caller = ToolCaller(self.toolset, self.services, conversation, turn)
        if self.reader is None:
            # What the grammar does not understand, a model answers, or nobody.
            if isinstance(parsed, Understanding):
                await self._answer_by_grammar(caller, parsed, utterance, log)
            elif self.model is None or not await self._answer_by_model(
                caller, conversation, turn, utterance, log
            ):
                await log.emit(not_understood(parsed))
        else:
            reading = self.reader.open(caller, turn, utterance, log)
            language = reading.state.language
            try:
                await self._answer_by_reader(reading, conversation, parsed)
            except SoundstageError as error:
                raise Translation.of(language).error(in_words(error)) from error
            finally:
                log.result.dialogue = reading.with_plan(reading.next_state()).to_json()
        if follow and log.result.render_id is not None and log.result.render_active:
            await self._follow(log.result.render_id, log.result.tool, log.emit, Translation.of(language))

    async def _answer_by_reader(
        self, reading: ReaderTurn, conversation: Conversation, parsed: Understanding | NotUnderstood
    ) -> None:
        decision = await reading.decide(parsed)
        if decision is None:
            if isinstance(parsed, Understanding):
                waiting = await self._answer_by_grammar(
                    reading.caller, parsed, reading.utterance, reading.log
                )
                if waiting is not None:
                    reading.note_waiting(waiting)
            return
        if (
            self.model is not None
            and not reading.is_certain(decision)
            and await self._answer_by_model(
                reading.caller, conversation, reading.turn, reading.utterance, reading.log, reading, decision
            )
        ):
            return
        reading.log.result.backend = "reader"
        if decision.kind == "chat" and decision.about == "help":
            await reading.log.emit(self._help(decision.topic, reading.replies))
            return
        await reading.carry_out(decision, parsed)

    async def _answer_by_grammar(
        self, caller: ToolCaller, parsed: Understanding, utterance: str, log: TurnLog
    ) -> ToolCall | None:
        """Returns the call where it waits for an approval."""
        log.result.backend, emit = "grammar", log.emit
        await emit(Understood(intent=parsed.intent, tool=parsed.tool))
        if parsed.tool is None:
            await emit(self._help(parsed.arguments.get("topic", ""), Replies.of(DEFAULT)))
            return None
        call = prepare_call(self.toolset, parsed.tool, with_capital(parsed.arguments, utterance))
        outcome = await caller.run(call, emit)
        await emit(outcome.text)
        return call if isinstance(outcome.event, ApprovalRequested) else None

    async def _answer_by_model(
        self,
        caller: ToolCaller,
        conversation: Conversation,
        turn: OpenTurn,
        utterance: str,
        log: TurnLog,
        reading: ReaderTurn | None = None,
        decision: Decision | None = None,
    ) -> bool:
        """Has the model answer. Returns False when it failed before it had answered anything."""
        assert self.model is not None  # noqa: S101
        earlier = await self.sessions.turns(conversation.principal, conversation.id, HISTORY_TURNS + 1)
        own = [one for one in earlier if one.number < turn.number]
        history = await self.services.snapshots.history(conversation.id, own)
        if max(len(history), turn.number - 1) > HISTORY_TURNS:
            history = history[-_history_turns(turn.number) :]
        memories = await self.services.memory.context_for(
            caller.principal, utterance, conversation.persona_id
        )
        read = Reading() if reading is None or decision is None else reading.reading_of(decision)
        cost = ModelCost()
        log.result.backend = "model"
        try:
            tools = await self.model.answer(caller, utterance, log.emit, history, memories, read, cost)
            if reading is not None:
                reading.note_tools(tools)
                await reading.show_proposals()
        except SoundstageError as error:
            had_content = log.result.has_content
            log.result.backend = "model" if had_content else "none"
            await log.emit(model_failed(error))
            return had_content
        finally:
            log.result.usage = cost.usage()
        return True

    async def _follow(self, render_id: str, tool: str | None, emit: Emit, words: Translation) -> None:
        """Emits the progress of a render until its end, then how it ended."""
        async for progress in self.watch.follow(render_id):
            await emit(progress)
        view = await self.watch.renders.get(render_id)
        if view.state == RenderState.DONE:
            blocks = RenderLine.of(view, self.services.out_dir).presentation()
            await emit(words.message(Text(text=as_text(blocks), blocks=blocks)))
        elif view.state == RenderState.CANCELLED and tool == "cancel_render":
            await emit(words.message(Text(text=f"“{view.title}” is cancelled. No partial files remain.")))
        elif view.error is not None:
            failure = Failure(code=view.error.code, message=view.error.message, hint=view.error.hint)
            await emit(words.notice(failure))
        else:
            failure = Failure(code="render.cancelled", message=f"“{view.title}” was cancelled.")
            await emit(words.notice(failure))


def help_text(entries: Sequence[HelpEntry], topic: str, replies: Replies) -> str:
    """Returns the overview, or the purposes and examples of the grammar that fit a topic.

    A topic may be intents that somebody asks how to reach: an example of each.
    The overview is also the answer to a topic that nothing fits. “Everything” fits all.
    """
    tools = [entry for entry in entries if entry.tool]
    if topic.startswith(HOW) and (examples := replies.examples(topic.removeprefix(HOW).split(","))):
        return "\n".join([replies.text("help", "how"), *(f"  • {one}" for one in examples)])
    stem = replies.help_subject(topic)
    fitting = (
        tools
        if stem == "everything"
        else [entry for entry in tools if _fits(stem, entry.intent, entry.purpose)]
        or [entry for entry in tools if _fits(stem, *entry.examples)]
    )
    if not stem or not fitting:
        return replies.text("help", "overview")
    lines = [replies.text("help", "subject")]
    for entry in fitting:
        purpose = replies.purpose(entry.rule)
        if purpose is None:
            lines.append(f"\n{entry.purpose}")
            lines.extend(f"  • {example}" for example in entry.examples)
        elif f"\n{purpose}" not in lines:
            lines += [f"\n{purpose}", *(f"  • {example}" for example in replies.examples([entry.rule]))]
    return "\n".join(lines)


def _fits(stem: str, *texts: str) -> bool:
    return any(stem in text.lower() for text in texts)
