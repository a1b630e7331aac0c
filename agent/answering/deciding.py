"""Decides what one utterance leads to: the grammar's meaning, the reader's, or an answer to a question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.answering.calls import change_project_first
from agent.answering.interrupted_plans import InterruptedPlan, find_interrupted
from agent.answering.replies import Replies, is_assent, is_yes_elsewhere
from agent.answering.state import ConversationState, Plan
from agent.answering.translation import Translation
from agent.answering.worlds import FARM_TOOLS, Worlds
from agent.sessions.service import OpenTurn, SessionService
from agent.tools.record import rule_name
from agent.tools.services import ToolServices
from agent.tools.toolset import ToolCall, Toolset
from agent.turns.log import TurnLog
from agent.turns.tool_call import ToolCaller
from agent.understanding import NotUnderstood, Understanding
from agent.understanding.agreement import NAMED, agreement, choose, exists
from agent.understanding.asides import HOW
from agent.understanding.changes import how_to, is_indirect, kind_of_voice, look_of, matches, replacement_in
from agent.understanding.decision import Decision
from agent.understanding.dialogue import INSTEAD, SAME_TITLE, YES_OR_NO, CallRecord, Dialogue, Question
from agent.understanding.doubt import confidence, signs
from agent.understanding.intents import NEEDS_YES, READS
from agent.understanding.interpreter import Interpreter
from agent.understanding.plans import steps_of_unfinished
from agent.understanding.references import with_referent
from agent.understanding.titles import with_own_title
from agent.understanding.values import text_after_lead, words
from agent.understanding.video_requests import renames_film
from agent.understanding.wording import EMPTY_LINE, has_quoted_text, with_capital, without_quotes
from agent.understanding.world import World, fold
from soundstage.database import utcnow

CERTAIN = 0.9
"""From here on a call is made without asking the language model; below it, what destroys is asked about."""
CERTAIN_CALL = 2.0
"""The same for a change, in log-odds that it is wholly right."""
SURE_WITHOUT_FARM = 0.75
GREETINGS = frozenset({"greeting", "thanks", "goodbye", "smalltalk"})
OF_STUDIO = frozenset(
    {
        "channels",
        "no_channel",
        "playbooks",
        "job_files",
        "no_playbooks",
        "no_job_files",
        "formats",
        "new_machine",
        "language",
        "voice_of",
        "who_is",
        "who_spoke",
        "speaks_language",
    }
)
"""What is said about the studio without a tool."""
OF_SCENES = frozenset(f"edit_project.{action}_scene" for action in ("change", "move", "duplicate", "delete"))
UNWRITTEN = "unwritten"
_SAYS_WORDS = ("text", "from_memory", "scenes")
"""Where one of these is given, a film has its words, or scenes that wait for them."""
OF_FILMS = frozenset({"render", "project", "scene"})
OF_CHANGES = frozenset({"undo", "correction", "more"})
CORRECTIONS = frozenset({"correction", "more", "change"})

_WORDS = re.compile(r"[^\d_]+")
"""No id, which has digits."""


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
    _cancelling: ToolCall | None = field(default=None, init=False)
    """The call that cancels a video of which this turn makes another in its place."""
    _waiting: CallRecord | None = field(default=None, init=False)
    """The call of this turn that waits for an approval."""
    _closed: bool = field(default=False, init=False)
    """Whether the open question or proposal was answered."""
    _interrupted: InterruptedPlan | None = field(default=None, init=False)
    """What an earlier turn has left undone, and nobody has asked for yet."""

    @property
    def replies(self) -> Replies:
        return Replies.of(self.state.language)

    @property
    def translation(self) -> Translation:
        return Translation.of(self.state.language)

    async def decide(self, parsed: Understanding | NotUnderstood) -> Decision | None:
        """Returns the decision; None where the grammar's meaning is the whole of what was said."""
        await self._find_interrupted()
        if self._interrupted is not None and self.replies.goes_on(self.utterance):
            return await self._go_on(self._interrupted)
        decision = await self._decision(parsed)
        await self._store_plan(decision)
        return decision

    async def _find_interrupted(self) -> None:
        """Looks whether the turn whose plan is stored was interrupted."""
        if (plan := self.state.plan) is not None:
            self.state = replace(self.state, plan=None)
            self._interrupted = await find_interrupted(plan, self.answers.sessions, self.caller)

    async def _go_on(self, interrupted: InterruptedPlan) -> Decision:
        """Says what was done of an interrupted plan, and returns the question whether the rest shall be."""
        raise NotImplementedError

    async def _store_plan(self, decision: Decision | None) -> None:
        """Stores the calls that a decision makes one after the other, before the first of them is made."""
        calls: tuple[CallRecord, ...] = ()
        if decision is not None and decision.kind == "calls" and decision.about != "undo":
            calls = tuple(part for call in decision.calls for part in change_project_first(call))
        elif decision is not None and decision.kind != "decline" and self._may_confirm(decision):
            calls = tuple(CallRecord.of(one.tool, one.arguments) for one in self.state.proposals)
        if len(calls) < 2 or self.caller.is_dry_run or all(one.intent in READS for one in calls):
            return
        state = replace(self.state, plan=Plan(self.turn.number, calls))
        if await self.answers.sessions.replace_dialogue(self.turn, text := state.to_json()):
            self.state, self.turn = state, replace(self.turn, dialogue=text)

    def with_plan(self, after: ConversationState) -> ConversationState:
        """Returns the state after this turn with the plan of an earlier one that is still open."""
        interrupted = None if self.caller.has_begun_change or self._pending else self._interrupted
        return replace(after, plan=None if interrupted is None else interrupted.plan)

    async def _decision(self, parsed: Understanding | NotUnderstood) -> Decision | None:
        decision, question = await self._decide(parsed), self.state.dialogue.question
        if self._answers_question and question is not None and question.about == SAME_TITLE:
            return decision
        if decision is None and isinstance(parsed, Understanding) and parsed.tool is not None:
            literal = CallRecord(_intent(parsed), parsed.arguments)
            exact = replace(literal, arguments=without_quotes(literal.arguments))
            whole = Decision("calls", calls=(exact,))
            found = self._possible_now(self._with_voice(with_own_title(whole, self.world)))
            return None if found is whole and exact == literal else found
        if decision is None:
            return None
        return self._possible_now(self._with_capitals(self._with_voice(with_own_title(decision, self.world))))

    def _possible_now(self, decision: Decision) -> Decision:
        """Returns a decision with what it lacks: the words of a film that nobody here can write, or the end
        of the video that it publishes.
        """
        return self._unwritten(decision) or decision.as_plan(
            steps_of_unfinished(decision.proposed, self.world)
        )

    def _unwritten(self, decision: Decision) -> Decision | None:
        """Returns the question what shall be said, where nobody can write the film that is wanted."""
        call = decision.calls[0] if decision.kind == "calls" and len(decision.calls) == 1 else None
        if call is None or call.intent != "write_script.film" or self.answers.services.author is not None:
            return None
        if "topic" not in call.arguments or any(call.arguments.get(name) for name in _SAYS_WORDS):
            return None
        question = Question("missing", call.intent, dict(call.arguments), ("text",))
        return replace(decision, kind="ask", about=UNWRITTEN, calls=(), question=question)

    def _with_voice(self, decision: Decision) -> Decision:
        """Returns the question who shall speak, where a call names a kind of voice and no presenter: “a video
        with a male voice that says hello”.
        """
        call = decision.calls[0] if decision.kind == "calls" and len(decision.calls) == 1 else None
        named = str(call.arguments.get("persona") or "") if call is not None else ""
        voice = kind_of_voice(named)
        if call is None or voice is None or exists("persona", named, self.world):
            return decision
        arguments = {name: value for name, value in call.arguments.items() if name != "persona"}
        question = Question("missing", call.intent, arguments, ("persona",))
        return Decision("ask", about="voice", topic=voice, question=question)

    def _with_capitals(self, decision: Decision) -> Decision:
        """Returns a decision whose scripts, as far as they are words of this utterance, begin so."""

        def capitalise(calls: Sequence[CallRecord]) -> tuple[CallRecord, ...]:
            return tuple(
                replace(one, arguments=with_capital(without_quotes(one.arguments), self.utterance))
                for one in calls
            )

        question = decision.question
        if question is not None and question.choices:
            question = replace(question, choices=capitalise(question.choices))
        return replace(decision, calls=capitalise(decision.calls), question=question)

    async def _decide(self, parsed: Understanding | NotUnderstood) -> Decision | None:
        dialogue, question = self.state.dialogue, self.state.dialogue.question
        if self.state.approval_id is not None:
            # What waited for an approval may have been done since.
            self.answers.worlds.forget(self.caller.principal)
            if _cancels_nothing_named(parsed) or matches("withdraws", self.utterance):
                # “Cancel that” is about what was asked for last, and that waits.
                return Decision("calls", about="undo")
        if _cancels_nothing_named(parsed) and len(self.utterance.split()) == 1 and self._has_no_video():
            # “Cancel”, after words about a machine.
            return Decision("decline", about="no")
        if isinstance(parsed, Understanding) and parsed.tool == "list_personas" and self._asks_who_speaks():
            return await self._interpret()
        if self.state.proposals and is_yes_elsewhere(self.utterance):
            return Decision("confirm", about="yes")
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
            if answered is not None and question.choices and self._is_yes_of_others(answered):
                return Decision("nothing", about="nothing")
            is_open = question.missing or (question.about in YES_OR_NO and question.age == 0)
            ends = _cancels_nothing_named(parsed) or any(
                matches(name, self.utterance) for name in ("withdraws", "ends_both")
            )
            if is_open and question.about != "sure" and ends:
                answered = Decision("decline", about="no")
            if answered is not None and (
                answered.kind == "decline" or not self._is_another_request(parsed, question)
            ):
                self._answers_question = True
                return self._exact_answer(parsed, question) or answered
        if not isinstance(parsed, Understanding):
            return await self._interpret()
        if parsed.tool is None:
            # Help is the grammar's answer to a greeting, too.
            decision = await self._interpret()
            is_talk = decision.about in GREETINGS | OF_STUDIO or decision.topic.startswith(HOW)
            is_refused = decision.kind == "refuse" and how_to(self.utterance) is not None
            return decision if is_refused or (decision.kind == "chat" and is_talk) else None
        intent = _intent(parsed)
        if intent == "memory.recall" and matches("about_me", str(parsed.arguments.get("about", ""))):
            return Decision("calls", calls=(CallRecord(intent, {}),))
        literal = CallRecord(intent, parsed.arguments)
        exact = with_referent(literal, self.utterance, dialogue)
        if exact is None:
            return await self._interpret()
        if intent not in READS or any(exact.arguments.get(name) for name in NAMED):
            self.world = await self._world(farm=False)
        if (again := renames_film(self.world, exact)) is not None:
            return again
        render, persona = exact.arguments.get("render"), exact.arguments.get("persona")
        if self._is_no_title(render) or self._is_no_name(persona) or self._is_unclear(exact):
            # “Stop the video now” and “the first one says: …” name none.
            return await self._interpret()
        found = agreement(self.answers.interpreter.reader, exact, self.utterance, self.world)
        if found.is_whole and (
            exact is not literal or intent in NEEDS_YES or self._is_title(exact.arguments.get("render"))
        ):
            return Decision("calls", calls=(exact,))
        return None if found.is_whole else choose(exact, found, await self._interpret())

    def is_certain(self, decision: Decision) -> bool:
        """Returns whether no language model has to be asked."""
        if self._answers_question or self._may_confirm(decision) or decision.steps:
            return True
        if has_quoted_text(self.utterance):
            return False
        sure = [candidate.sureness for candidate in decision.candidates]
        if decision.kind != "calls" or not sure or min(sure) < CERTAIN:
            return False
        reader, recent = self.answers.interpreter.reader, self.state.dialogue.recent_kind
        return all(
            one.intent in READS or confidence(signs(reader, self.world, [one], recent)) >= CERTAIN_CALL
            for one in decision.candidates
        )

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
        """Returns which choice was said word for word; the first one, a yes, in any language."""
        spoken = " ".join(self.utterance.split()).casefold()
        shown = [choice.casefold() for choice in self.state.choices]
        if spoken in shown:
            return shown.index(spoken)
        question = self.state.dialogue.question
        is_fresh = question is not None and question.about in YES_OR_NO and question.age == 0
        return 0 if is_fresh and is_yes_elsewhere(spoken) else None

    def _is_title(self, render: object) -> bool:
        """Returns whether a video is called by its title, for which its tool needs the id."""
        kinds = ("render", "trashed_render")
        return any(
            fold(one.name) == fold(str(render or "")) for one in self.world.of_kind(*kinds) if one.name
        )

    def _is_no_title(self, render: object) -> bool:
        """Returns whether words stand where a video is called, and are neither an id nor a title."""
        name = str(render or "")
        return bool(_WORDS.fullmatch(name)) and not (
            self._is_title(name) or exists("render", name, self.world)
        )

    def _is_unclear(self, exact: CallRecord) -> bool:
        """Returns whether the title of a project was read with the words behind it, “Harbour between Start
        and End”, or is a look, “the project vertical”, or a script retells what shall be spoken: “where
        Walter welcomes our guests”.
        """
        if is_indirect(self.utterance, str(exact.arguments.get("script") or "")):
            return True
        name = str(exact.arguments.get("project") or "").lower()
        titles = [one.name.lower() for one in self.world.of_kind("project") if one.name]
        if not name or name in titles or exists("project", name, self.world):
            return False
        return bool(look_of(name)) or any(name.startswith(f"{title} ") for title in titles)

    def _is_no_name(self, persona: object) -> bool:
        """Returns whether a presenter is called by words that no name has: “the first one”, “no, it”."""
        first, *others = re.findall(r"\w+", str(persona or "").lower()) or [""]
        groups = words().groups
        called = {first, *others} & (groups["pronouns"] | groups["person_pronouns"])
        is_none = bool(called) or (bool(others) and first in groups["articles"])
        if kind_of_voice(str(persona or "")) is not None:
            # “With a male voice” is asked about.
            return False
        return is_none and not exists("persona", persona, self.world)

    def _has_no_video(self) -> bool:
        """Returns whether something was spoken of, and no video."""
        dialogue = self.state.dialogue
        return bool(dialogue.recent_kind) and not dialogue.last.get("render") and dialogue.question is None

    def _asks_who_speaks(self) -> bool:
        """Returns whether “who speaks?” is about what was spoken of last."""
        return self.state.dialogue.recent_kind in OF_FILMS and matches("who_spoke", self.utterance)

    async def _world(self, *, farm: bool) -> World:
        return await self.answers.worlds.of(self.caller.principal, farm=farm)

    async def _interpret(self) -> Decision:
        """Returns the reader's decision. Other servers are asked for names only where those may matter."""
        before = {call.intent.partition(".")[0] for call in self._dialogue().calls}
        for farm in (True,) if before & FARM_TOOLS else (False, True):
            self.world = await self._world(farm=farm)
            decision = self._interpret_own(self._dialogue())
            if decision.kind == "ask" and decision.about in OF_CHANGES and self.state.changes:
                # What is only looked at is neither taken back nor made again.
                dialogue = replace(self.state.dialogue, calls=self.state.changes, question=None)
                decision = self._interpret_own(dialogue)
            candidates = decision.candidates
            of_studio = all(candidate.intent.partition(".")[0] not in FARM_TOOLS for candidate in candidates)
            names_nothing = decision.question is None and decision.unknown is not None
            if (
                candidates
                and of_studio
                and not names_nothing
                and max(candidate.sureness for candidate in candidates) >= SURE_WITHOUT_FARM
            ):
                break
        return self._as_replacement(await self._with_scripts(decision))

    def _dialogue(self) -> Dialogue:
        """Returns the state in which an utterance is read: of a call that waits for approval, “on Saturday
        instead” and “no, bolt” are about that one.
        """
        waiting, dialogue = self.state.waiting, self.state.dialogue
        return dialogue if waiting is None else replace(dialogue, calls=(waiting,))

    def _as_replacement(self, decision: Decision) -> Decision:
        """Returns a decision that changes what waits for approval as a question: it takes its place."""
        waiting = self.state.waiting
        is_other = decision.kind == "calls" and decision.about in CORRECTIONS and waiting is not None
        if not is_other or waiting is None or [one.intent for one in decision.calls] != [waiting.intent]:
            return decision
        return decision.as_question("confirm", INSTEAD)

    async def _with_scripts(self, decision: Decision) -> Decision:
        """Returns the decision again where it depends on what is spoken in the scenes of a project."""
        question, last = decision.question, self.state.dialogue.last
        calls = (*decision.calls, *(() if question is None else question.choices))
        names_scene = question is not None and "scene" in question.missing
        if any(call.intent in OF_SCENES for call in calls):
            # The scene last spoken of stands for one that is named by its words.
            names_scene |= all("scene" not in one.arguments for one in decision.candidates[:1])
        if not names_scene and replacement_in(self.utterance) is None:
            return decision
        project = (question.arguments.get("project") if question is not None else None) or last.get("project")
        if not project:
            return decision
        self.world = await self.answers.worlds.with_scripts(self.world, self.caller.principal, str(project))
        return self._interpret_own(self._dialogue())

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

    def _is_yes_of_others(self, decision: Decision) -> bool:
        """Returns whether a yes has more words than a yes: “Sam said yes” agrees to nothing."""
        says_yes = any(one.intent == "act.yes" for one in decision.candidates)
        return says_yes and decision.kind == "calls" and not is_assent(self.utterance)

    def _exact_answer(self, parsed: Understanding | NotUnderstood, question: Question) -> Decision | None:
        """Returns the call of an answer that is a whole order itself: “Make a video where Milo says: Hi”."""
        if not isinstance(parsed, Understanding) or "script" not in question.missing:
            return None
        script, persona = parsed.arguments.get("script"), parsed.arguments.get("persona")
        intent = _intent(parsed)
        if (
            not script
            or intent != question.intent
            or not exists("persona", persona, self.world)
            or text_after_lead(self.utterance) is not None
        ):
            return None
        stated = {name: value for name, value in parsed.arguments.items() if value is not None}
        return Decision(
            "calls", calls=(CallRecord(intent, {**question.arguments, **stated}),), about="choice"
        )

    def _is_another_request(self, parsed: Understanding | NotUnderstood, question: Question) -> bool:
        """Returns whether a sentence of the grammar is about something else than the open question."""
        if not isinstance(parsed, Understanding) or parsed.tool is None:
            return False
        return _intent(parsed) not in {question.intent, *(choice.intent for choice in question.choices)}


def _intent(parsed: Understanding) -> str:
    return rule_name(parsed.tool or "", parsed.arguments.get("action", ""))


def _cancels_nothing_named(parsed: Understanding | NotUnderstood) -> bool:
    """Returns whether a sentence cancels without a name: to an open question that is “never mind”."""
    return (
        isinstance(parsed, Understanding)
        and _intent(parsed) == "cancel_render.cancel"
        and parsed.arguments.get("render") in (None, "latest")
    )


def _now() -> Any:
    """Returns the time here, without a zone: people say times of their own clock."""
    return utcnow().astimezone().replace(tzinfo=None)
