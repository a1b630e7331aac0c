"""Decides what one utterance leads to: the grammar's meaning, the reader's, or an answer to a question."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rapidfuzz import fuzz

from agent.answering.replies import Replies
from agent.answering.state import ConversationState
from agent.answering.worlds import FARM_TOOLS, Worlds
from agent.sessions.service import OpenTurn, SessionService
from agent.tools.record import rule_name
from agent.tools.services import ToolServices
from agent.tools.toolset import Toolset
from agent.turns.log import TurnLog
from agent.turns.tool_call import ToolCaller
from agent.understanding import NotUnderstood, Understanding, values
from agent.understanding.dialogue import Dialogue, Question
from agent.understanding.intents import READS
from agent.understanding.interpreter import Decision, Interpreter
from agent.understanding.wording import has_quoted_text
from agent.understanding.world import World, fold
from soundstage.database import utcnow

CERTAIN = 0.9
"""From here on a call is made without asking the language model; below it, what destroys is asked about."""
SURE_WITHOUT_FARM = 0.75
GREETINGS = frozenset({"greeting", "thanks", "goodbye", "smalltalk"})
LIKE_NAME = 70.0
"""From here on, of 100, the spelling of a name is near enough to be meant."""
YES_OR_NO = frozenset({"sure", "confirm", "confirm_all"})
OF_CHANGES = frozenset({"undo", "correction", "more"})
EMPTY_LINE = re.compile(r"\n\s*\n")
_GOES_ON = re.compile(r"\b(?:then|after that|afterwards|und dann|danach|anschließend)\b", re.IGNORECASE)


@dataclass(frozen=True)
class AnsweringServices:
    """The services that answers by the reader need."""

    interpreter: Interpreter
    toolset: Toolset
    sessions: SessionService
    services: ToolServices
    worlds: Worlds


@dataclass
class DecidingTurn:
    """The part of an answer that decides. `state` is that of the session before this turn."""

    answers: AnsweringServices
    caller: ToolCaller
    turn: OpenTurn
    utterance: str
    log: TurnLog
    state: ConversationState
    world: World = field(default_factory=World, init=False)
    _pending: tuple[Question, tuple[str, ...]] | None = field(default=None, init=False)
    _answers_question: bool = field(default=False, init=False)
    _closed: bool = field(default=False, init=False)
    """Whether the open question or proposal was answered."""

    @property
    def replies(self) -> Replies:
        return Replies.of(self.state.language)

    async def decide(self, parsed: Understanding | NotUnderstood) -> Decision | None:
        """Returns the decision; None where the grammar's meaning is the whole of what was said."""
        dialogue, question = self.state.dialogue, self.state.dialogue.question
        if (place := self._choice()) is not None and question is not None:
            self.world = await self._world(farm=False)
            self._answers_question = True
            if question.about in YES_OR_NO:
                if place > 0:
                    return Decision("decline", about="no")
                return Decision("calls", calls=question.choices, about="choice")
            if place < len(question.choices):
                return Decision("calls", calls=(question.choices[place],), about="choice")
        if question is not None:
            self.world = await self._world(farm=True)
            answered = self.answers.interpreter.answer(self.utterance, self.world, dialogue, _now())
            if answered is not None and not self._is_another_request(parsed, question):
                self._answers_question = True
                return answered
        if not isinstance(parsed, Understanding):
            return await self._interpret()
        if parsed.tool is None:
            # Help is the grammar's answer to a greeting, too.
            decision = await self._interpret()
            return decision if decision.kind == "chat" and decision.about in GREETINGS else None
        # A text after a colon or an empty line is no second wish.
        own = EMPTY_LINE.split(self.utterance.strip(), maxsplit=1)[0]
        for text in (str(parsed.arguments.get(name) or "") for name in ("script", "text")):
            before = self.utterance[: self.utterance.find(text)] if text else ""
            own = before if before.rstrip().endswith(":") else own
        is_single = len(self.answers.interpreter.reader.divide(own, self.world)) == 1
        named = is_single and await self._names_exist(parsed.arguments)
        intent = rule_name(parsed.tool or "", parsed.arguments.get("action", ""))
        if intent not in READS and not self.world.things:
            self.world = await self._world(farm=False)
        likely = self.answers.interpreter.is_likely(intent, self.utterance, self.world)
        if is_single and named and likely and not self._has_command_in_name(parsed.arguments):
            return None
        decision = await self._interpret()
        if is_single and not likely:
            return decision
        same = len(decision.calls) == 1 and decision.calls[0].intent == intent
        if same and self._has_command_in_name(parsed.arguments):
            return Decision("ask", about="unsure", question=Question("unsure", choices=decision.calls))
        if not is_single:
            return None if same else decision
        return self._with_known_names(decision, parsed.arguments)

    def is_certain(self, decision: Decision) -> bool:
        """Returns whether no language model has to be asked."""
        if self._answers_question or self._may_confirm(decision) or decision.steps:
            return True
        if has_quoted_text(self.utterance):
            return False
        sure = [candidate.sureness for candidate in decision.candidates]
        return decision.kind == "calls" and bool(sure) and min(sure) >= CERTAIN

    def reading(self, decision: Decision) -> str:
        """Returns what the reader makes of the sentence, as a line for a language model."""
        found = ", ".join(
            f"{candidate.intent} ({candidate.sureness:.2f})" for candidate in decision.candidates
        )
        return f"A classifier takes the sentence for: {found}. It may be wrong; you decide." if found else ""

    def _may_confirm(self, decision: Decision) -> bool:
        yes = decision.kind == "confirm" or (decision.kind == "chat" and decision.about == "yes")
        return self.state.proposal is not None and (yes or decision.kind == "decline")

    def _choice(self) -> int | None:
        """Returns which of the shown choices was said word for word."""
        spoken = " ".join(self.utterance.split()).casefold()
        shown = [choice.casefold() for choice in self.state.choices]
        return shown.index(spoken) if spoken in shown else None

    async def _world(self, *, farm: bool) -> World:
        return await self.answers.worlds.of(self.caller.principal, farm=farm)

    async def _interpret(self) -> Decision:
        """Returns the reader's decision. Other servers are asked for names only where those may matter."""
        for farm in (False, True):
            self.world = await self._world(farm=farm)
            decision = self._interpret_own(self.state.dialogue)
            if decision.kind == "ask" and decision.about in OF_CHANGES and self.state.changes:
                # What is only looked at is neither taken back nor made again.
                dialogue = replace(self.state.dialogue, calls=self.state.changes, question=None)
                decision = self._interpret_own(dialogue)
            candidates = decision.candidates
            of_studio = all(candidate.intent.partition(".")[0] not in FARM_TOOLS for candidate in candidates)
            if (
                candidates
                and of_studio
                and max(candidate.sureness for candidate in candidates) >= SURE_WITHOUT_FARM
            ):
                break
        return decision

    def _interpret_own(self, dialogue: Dialogue) -> Decision:
        """Returns the decision on the person's own words: what follows an empty line is pasted more often
        than said, and counts only as the text of what comes before it.
        """
        interpret = self.answers.interpreter.interpret
        own = EMPTY_LINE.split(self.utterance.strip(), maxsplit=1)[0]
        decision = interpret(own, self.world, dialogue, _now())
        if own == self.utterance.strip() or not decision.candidates:
            return decision
        whole = interpret(self.utterance, self.world, dialogue, _now())
        same = [candidate.intent for candidate in whole.candidates[:1]] == [decision.candidates[0].intent]
        return whole if same and len(whole.calls) < 2 else decision

    async def _names_exist(self, arguments: Mapping[str, Any]) -> bool:
        """Returns whether the presenter, video and project that the grammar found are there."""
        persona = str(arguments.get("persona") or "").strip().casefold()
        if persona and not any(
            persona in (one.id, one.name.casefold()) for one in self.answers.services.persona_library.list()
        ):
            return False
        named = {
            kind: str(arguments[kind]).casefold() for kind in ("render", "project") if arguments.get(kind)
        }
        named = {kind: name for kind, name in named.items() if name not in ("latest", "finished")}
        if not named:
            return True
        self.world = await self._world(farm=False)
        return all(
            any(
                thing.id.endswith(name) or fold(thing.name) == fold(name)
                for thing in self.world.of_kind(kind)
            )
            for kind, name in named.items()
        )

    def _with_known_names(self, decision: Decision, arguments: Mapping[str, Any]) -> Decision | None:
        """Returns the decision with another name for the grammar's unknown one; a change waits for a yes.
        None where it leaves the name out: then the tool says best that there is no such thing.
        """
        calls = decision.calls
        if not calls and decision.question is not None and decision.question.about in YES_OR_NO:
            calls = decision.question.choices
        pronouns = values.words().groups["pronouns"]
        remaining = [slot for slot in ("persona", "render", "project")
                if arguments.get(slot) and str(arguments[slot]).lower() not in pronouns]  # fmt: skip
        if len(calls) != 1 or not all(
            fuzz.WRatio(str(arguments[slot]), str(calls[0].arguments.get(slot, ""))) >= LIKE_NAME
            for slot in remaining
        ):
            return None
        if decision.kind != "calls" or calls[0].intent in READS or not remaining:
            return decision
        return replace(
            decision, kind="ask", about="confirm", calls=(), question=Question("confirm", choices=calls)
        )

    def _is_another_request(self, parsed: Understanding | NotUnderstood, question: Question) -> bool:
        """Returns whether a sentence of the grammar is about something else than the open question."""
        if not isinstance(parsed, Understanding) or parsed.tool is None:
            return False
        intent = rule_name(parsed.tool, parsed.arguments.get("action", ""))
        return intent not in {question.intent, *(choice.intent for choice in question.choices)}

    def _has_command_in_name(self, arguments: Mapping[str, Any]) -> bool:
        """Returns whether a new name goes on as if with another wish, and is not quoted."""
        names = [str(arguments.get(slot) or "") for slot in ("title", "name")]
        return any(_GOES_ON.search(name) and not is_quoted(name, self.utterance) for name in names)


def is_quoted(name: str, utterance: str) -> bool:
    """Returns whether a name stands between quotation marks."""
    place = utterance.find(name)
    return place > 0 and utterance[place - 1] in "\"“„«'"


def _now() -> Any:
    """Returns the time here, without a zone: people say times of their own clock."""
    return utcnow().astimezone().replace(tzinfo=None)
