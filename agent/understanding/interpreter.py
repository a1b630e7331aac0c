"""Decides what an utterance leads to: calls, a question, an answer, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent.understanding import changes
from agent.understanding.decision import Decision, ask_about
from agent.understanding.dialogue import YES_OR_NO, CallRecord, Dialogue
from agent.understanding.intents import READS, change_anything
from agent.understanding.plans import UnknownName, read_steps, steps_of_unlisted
from agent.understanding.reader import Reader
from agent.understanding.roles import with_names_for_roles, with_repair
from agent.understanding.utterance import Utterance
from agent.understanding.video_requests import with_time_first
from agent.understanding.when import asks_to_wait, waits_for_event, without_deadline
from agent.understanding.world import World, fold

BESIDE_VIDEOS = frozenset({"memory", "snapshots", "triggers"})
"""Tools that change no video and no project."""
_LISTS: Mapping[str, str] = {
    "list_renders": "render",
    "list_projects": "project",
    "list_machines": "machine",
    "list_personas": "persona",
    "cluster_status": "job",
    "snapshots.list": "snapshot",
}


@dataclass(frozen=True)
class Interpreter:
    """Free of state: the dialogue comes with each utterance."""

    reader: Reader

    def interpret(self, utterance: str, world: World, dialogue: Dialogue, now: datetime) -> Decision:
        """Returns the decision on an utterance. Nothing that it names is looked up outside `world`."""
        return _planned(self._interpret(utterance, world, dialogue, now))

    def _interpret(self, utterance: str, world: World, dialogue: Dialogue, now: datetime) -> Decision:
        if utterance.lstrip()[:1] in ("{", "[") and '"' in utterance:
            return Decision("ask", about="not_words")
        if not any(char.isalnum() for char in utterance):
            return Decision("ask" if not utterance.strip() else "chat", about="empty")
        utterance = with_names_for_roles(changes.without_opening(utterance), world)
        utterance = with_repair(with_time_first(utterance, world, now), world)
        turn = Utterance(self.reader, world, dialogue, now)
        if (corrected := turn.on_earlier(utterance)) is not None:
            return corrected
        decision = turn.interpret(utterance)
        if decision.kind in ("calls", "ask", "plan") and self.reader.knows_no_word(utterance, world):
            return ask_about("unsure", (), decision.candidates)
        rest = changes.without_greeting(utterance)
        greeting = utterance.removesuffix(rest)
        if rest != utterance and (decision.kind == "chat" or _is_spoken(greeting, decision)):
            return self.interpret(rest, world, dialogue, now)
        if (refused := turn.refusal(utterance, decision)) is not None:
            return refused
        if decision.kind not in ("calls", "plan") and (look := turn.perhaps_look(utterance)) is not None:
            return look
        if (statement := turn.perhaps_script(utterance, decision)) is not None:
            return statement
        intents = [*(call.intent for call in decision.calls), *(one.intent for one in decision.candidates)]
        likeliest = next(iter(intents), "")
        calls = decision.calls
        if decision.question is not None and decision.question.about in YES_OR_NO:
            calls = decision.question.choices
        arguments = [value for call in calls for value in call.arguments.values()]
        waits = change_anything(calls) and waits_for_event(utterance, arguments, now)
        if decision.kind != "plan" and not (
            waits or asks_to_wait(utterance, likeliest, now, reads=likeliest in READS)
        ):
            return decision

        def read(text: str, state: Dialogue) -> Decision:
            return Utterance(self.reader, world, replace(state, question=None, calls=()), now).interpret(text)

        try:
            steps = read_steps(utterance, read, world, dialogue, now)
        except UnknownName as error:
            place = utterance.lower().find(error.name)
            unknown = {error.kind: utterance[place : place + len(error.name)] if place >= 0 else error.name}
            return Decision("ask", about="unknown", candidates=decision.candidates, unknown=unknown)
        if not steps and (rest := without_deadline(utterance)) != utterance:
            return self._interpret(rest, world, dialogue, now)
        if not steps and not waits and (instead := turn.text_with_time(utterance, decision)) is not None:
            return instead
        if not steps:
            return replace(decision, kind="plan", about="condition", question=None) if waits else decision
        calls = tuple(call for step in steps for call in step.calls)
        return replace(decision, kind="plan", steps=steps, calls=calls, question=None)

    def answer(self, utterance: str, world: World, dialogue: Dialogue, now: datetime) -> Decision | None:
        """Returns the decision that an answer to the open question leads to; None where it is no answer."""
        question = dialogue.question
        if question is None or not any(char.isalnum() for char in utterance):
            return None
        candidates = self.reader.by_words.read(utterance, world, dialogue.focus(), now)
        answered = Utterance(self.reader, world, dialogue, now).answer(question, utterance, candidates)
        return None if answered is None else _planned(answered)

    def next_dialogue(self, dialogue: Dialogue, decision: Decision, world: World) -> Dialogue:
        """Returns the state after the decision was carried out."""
        if decision.kind == "calls":
            film, before = _films_after(dialogue, decision.calls)
            after = replace(dialogue.after_calls(decision.calls), film=film, film_before=before)
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


def _planned(decision: Decision) -> Decision:
    """Returns a decision on a publication as a plan, where this studio has to wait for its time."""
    return decision.as_plan(steps_of_unlisted(decision.proposed))


def _is_spoken(greeting: str, decision: Decision) -> bool:
    """Returns whether a decision takes a greeting in front of a wish for what shall be spoken."""
    calls = decision.calls if decision.question is None else (*decision.calls, *decision.question.choices)
    scripts = [fold(str(call.arguments.get("script") or "")) for call in calls]
    return any(one and one in fold(greeting) for one in scripts)


def _films_after(
    dialogue: Dialogue, calls: Sequence[CallRecord]
) -> tuple[CallRecord | None, CallRecord | None]:
    """Returns the call of the last video and that of the one before, after some calls."""
    film, before = dialogue.film, dialogue.film_before
    changed = [call for call in calls if call.intent not in READS]
    changed = [call for call in changed if call.intent.partition(".")[0] not in BESIDE_VIDEOS]
    if [call.intent for call in changed] == ["cancel_render.cancel", "retry_render"]:
        # The last one was taken back.
        return before, None
    for call in changed:
        film, before = (call, film) if call.intent == "make_render" else (None, film)
    return film, before
