"""Decides what one utterance leads to in its state: a call, several, a question, or talk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agent.understanding import changes, values
from agent.understanding.candidates import (
    missing,
    plain,
    waits,
)
from agent.understanding.coordination import on_each, together
from agent.understanding.decision import (
    SURE_KIND,
    SURE_NOTHING,
    SURE_OTHER,
    SURE_READ,
    SURE_READ_AMONG,
    SURE_READS,
    SURE_WRITE,
    Decision,
    Kind,
    ask_about,
)
from agent.understanding.dialogue import UNDO, CallRecord, Question
from agent.understanding.groups import group_in
from agent.understanding.intents import READS, SHOWS, TEXTS_OF, change_anything
from agent.understanding.judgement import Judgement, may_be_meant
from agent.understanding.reader import Candidate
from agent.understanding.scenes import scenes_by_name
from agent.understanding.several_things import all_but, scenes_of_speakers, several_things, speaker_of_each
from agent.understanding.when import conditions

WHOLE_TEXTS = frozenset({"script", "text", "topic", "about", "code", "command"})
"""Free texts that may hold orders of their own."""
_ENDS_SENTENCE = re.compile(r"[.!?]\s*\Z")
LEAST_CHOICE, LEAST_CHOICE_OF_FARM = 0.08, 0.25
"""From here on an intent is offered; what is done to machines is not offered by chance."""
FARM_CHANGES = frozenset({"change_machine", "change_job", "ansible", "cancel_run"})
LEAST_ACT = 0.15
"""Below, a text that is likeliest no call is not understood."""
SURE_TO_ASK = 0.3
"""From here on it is asked for what an intent needs, where a sentence names none of it."""
SHORT_CHOICE = 6
"""A text of fewer words that says a place in a list chooses from it."""
MOST_NO_WORDS = 5
SURE_UNDO = 0.4
"""From here on an utterance perhaps takes the last change back."""
MOST_WHY_WORDS = 2
"""A longer question, “why does it wait?”, names what it is about."""
SURE_WHY = 0.6
"""From here on a text asks why something happened."""
_SURE_ACTS: Mapping[str, tuple[Kind, float]] = {
    "plan.condition": ("plan", 0.4),
    "act.nothing": ("nothing", SURE_NOTHING),
    "act.out_of_scope": ("refuse", 0.35),
}
_CHAT: tuple[Kind, float] = ("chat", 0.3)
"""What acts of the dialogue lead to, and from which sureness on; below it is asked."""


@dataclass(frozen=True)
class Utterance(Judgement):
    """One utterance in its state."""

    def refusal(self, utterance: str, decision: Decision) -> Decision | None:
        """Returns the answer that names what nobody here can do, unless the decision is a sure change."""
        is_change = decision.kind == "calls" and change_anything(decision.calls)
        return None if is_change else self.what_is_missing(utterance, decision.candidates)

    def text_with_time(self, text: str, decision: Decision) -> Decision | None:
        """Returns the question whether a text that follows a colon is what a sentence is about, where times
        and events stand in that alone; None for any other plan.
        """
        found = next((one for one in decision.candidates if one.intent in TEXTS_OF), None)
        if found is None or changes.text_after_colon(text) is None or conditions(text, self.now):
            return None
        return self.confirm(found, text)

    def interpret(self, utterance: str) -> Decision:
        if (both := self._order_after_text(utterance)) is not None:
            return both
        scenes = (
            scenes_of_speakers(self, utterance)
            or speaker_of_each(self, utterance)
            or scenes_by_name(self, utterance)
        )
        if scenes is not None:
            return scenes
        if (group := group_in(utterance, self.world, self.dialogue)) is not None:
            self.reader.prepare(group.texts, self.world)
            found = together(group, [self._one(one) for one in group.texts])
            if found is not None:
                return found
        parts = self.reader.divide(utterance, self.world)
        if len(parts) == 1:
            parts = self._two_orders(utterance) or parts
        if len(parts) == 1:
            decision = self._one(utterance)
        else:
            self.reader.prepare(parts, self.world)
            decision = self._several(parts, utterance)
        return on_each(decision, utterance, self.world, self.dialogue)

    def _two_orders(self, text: str) -> list[str] | None:
        """Returns the two orders of a text that the trained divider left whole: “rename it to Tides and
        render it”. What is spoken, remembered or planned for later is not divided.
        """
        cut = changes.second_order(text)
        if cut is None or changes.text_after_colon(text) is not None or values.matches("condition", text):
            return None
        parts = [text[: cut[0]].strip(" ,;"), text[cut[1] :].strip()]
        for part, least in zip(parts, (SURE_KIND, SURE_TO_ASK), strict=True):
            best = self.read(part)[0]
            if best.tool is None or best.sureness < least or set(best.loose) & WHOLE_TEXTS:
                return None
        return parts

    def _order_after_text(self, text: str) -> Decision | None:
        """Returns the question whether a sentence behind a spoken text is an order of its own: “… with Vera:
        Hello. And then show me the machines”; None where nothing sounds like one.
        """
        cut = changes.second_order(text)
        if cut is None or changes.text_after_colon(text) is None or not _ENDS_SENTENCE.search(text[: cut[0]]):
            return None
        speech, order = text[: cut[0]].strip(), text[cut[1] :].strip()
        if ":" in order or ":" not in speech:
            return None
        first, second = self.read(speech)[0], self.read(order)[0]
        if first.intent not in TEXTS_OF or second.tool is None or second.sureness < SURE_KIND:
            return None
        decision = self._several([speech, order], text)
        return decision.as_question("confirm_all") if decision.kind == "calls" else None

    def _several(self, parts: Sequence[str], utterance: str) -> Decision:
        """Returns the calls of all clauses, or what keeps one of them from being understood."""
        dialogue = self.dialogue
        calls: list[CallRecord] = []
        found: list[Decision] = []
        is_sure = True
        for part in parts:
            turn = Utterance(self.reader, self.world, dialogue, self.now, is_alone=False)
            decision = turn.film_it(part) or turn.film_with_title(part) or turn._one(part)
            if _asks_for_nothing(part, decision):
                # “I'm not good with computers” is no wish to see them.
                is_sure = False
                continue
            if decision.kind == "calls":
                dialogue = dialogue.after_calls(decision.calls)
                calls = [one for one in calls if not any(_is_part_of(one, call) for call in decision.calls)]
                calls += [call for call in decision.calls if not any(_is_part_of(call, one) for one in calls)]
            elif waiting := _offered(decision):
                dialogue = dialogue.after_calls(waiting)
            found.append(decision)
        if not found:
            return self._one(utterance)
        if any(one.kind == "plan" for one in found) or (
            len(calls) > 1 and values.matches("condition", self._rest(utterance)) and change_anything(calls)
        ):
            return Decision("plan", about="condition", calls=tuple(calls))
        offered: list[CallRecord] = []
        for call in (call for one in found for call in _offered(one)):
            if not any(_is_part_of(call, one) for one in offered):
                offered = [*(one for one in offered if not _is_part_of(one, call)), call]
        if len(offered) > len(calls) and all(_offered(one) for one in found):
            candidates = tuple(one for each in found for one in each.candidates)
            return ask_about("confirm", offered, candidates, question="confirm_all")
        pending = next((one for one in found if one.kind in ("ask", "confirm", "refuse")), None)
        if any(_misses_check(call, utterance) for call in calls):
            return Decision("ask", about="part:check", candidates=found[-1].candidates)
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
            decision = Decision(
                "calls",
                calls=tuple(calls),
                candidates=tuple(one for each in found for one in each.candidates),
            )
            if is_sure or not change_anything(calls) or self._one(utterance).calls == decision.calls:
                return decision
            return decision.as_question("confirm_all")
        return self._one(utterance)

    def _rest(self, text: str) -> str:
        sentence = self.reader.best_sentence(text, text, self.world)
        return " ".join(token.text for token in sentence.tokens)

    def _one(self, text: str) -> Decision:
        read = self.read(text)
        candidates = [one for one in read if may_be_meant(one, text)] or [replace(read[0], sureness=0.0)]
        question = self.dialogue.question
        if question is not None:
            by_words = self.reader.by_words.read(text, self.world, self.dialogue.focus(), self.now)
            answered = self.answer(question, text, by_words)
            if answered is not None:
                return answered
        best = candidates[0]
        if (others := all_but(best, text, self.world)) is not None:
            return others
        if (best.tool is None or (best.intent in READS and not best.arguments)) and (
            chosen := self._chosen_to_look_at(best, text)
        ) is not None:
            return chosen
        if (spoken_of := self.what_was_spoken_of(best, text)) is not None:
            return spoken_of
        if (same := self.same_for_what_was_spoken_of(best, text)) is not None:
            return same
        changed = (
            self.call_with_changes(text, candidates)
            if best.tool is None or best.sureness < SURE_OTHER or self.is_ellipsis(best, text)
            else None
        )
        if changed is not None:
            return changed
        if best.tool is None and best.sureness >= LEAST_ACT:
            return self._act(best, candidates, text)
        if best.tool is None or not _is_sure(candidates):
            return self._unsure(candidates)
        if best.intent == "ssh" and _may_change_machine(best, text):
            return replace(self._unsure(candidates), question=Question("unsure"))
        if best.intent not in READS:
            if waits(best):
                return Decision("plan", about="condition", candidates=(best,))
            script = str(best.arguments.get("script") or "")
            if best.intent in TEXTS_OF and changes.is_indirect(text, script):
                rest = {name: value for name, value in plain(best.arguments).items() if name != "script"}
                question = Question("missing", best.intent, rest, ("script",))
                return Decision("ask", about="exact", candidates=(best,), question=question)
            if (
                several := several_things(best, text, self.world, self.dialogue.last.get("project", ""))
            ) is not None:
                return several
            if self.is_doubtful(candidates):
                return self.confirm(best, text)
        return self.call_or_ask(best, text)

    def _chosen_to_look_at(self, best: Candidate, text: str) -> Decision | None:
        """Returns the call that shows a thing of the last list: “the third”, or “the second, what happened to
        it?” where a longer text asks for what shows things of that kind.
        """
        chosen = self.choice_from_list(text)
        if chosen is None or len(words := text.split()) < SHORT_CHOICE:
            return chosen
        begins_with_it = values.ordinal(" ".join(words[:3])) is not None
        return chosen if begins_with_it and chosen.calls[0].intent == best.intent else None

    def _unsure(self, candidates: Sequence[Candidate]) -> Decision:
        is_likely = candidates[0].sureness >= SURE_TO_ASK or bool(candidates[0].arguments)
        needs = missing(candidates[0].intent, plain(candidates[0].arguments))
        if candidates[0].tool is not None and needs and is_likely:
            pending = self.call_or_ask(candidates[0], candidates[0].text)
            if pending.kind == "ask":
                return pending
        choices = []
        for candidate in candidates:
            least = LEAST_CHOICE_OF_FARM if candidate.tool in FARM_CHANGES else LEAST_CHOICE
            if candidate.tool is not None and candidate.sureness >= least:
                arguments = plain(candidate.arguments)
                for group in missing(candidate.intent, arguments):
                    arguments.update([listed] if (listed := self.from_list(group, candidate.text)) else ())
                if not candidate.unknown and not missing(candidate.intent, arguments):
                    choices.append(CallRecord(candidate.intent, arguments))
        return ask_about("unsure", choices[:3], tuple(candidates))

    def _act(self, best: Candidate, candidates: Sequence[Candidate], text: str) -> Decision:
        act = best.intent.partition(".")[2]
        dialogue = self.dialogue
        if act == "undo":
            return self._perhaps_take_back(best)
        if act == "why":
            return self.choice_from_list(text) or self._why(best, candidates, text)
        if act == "choice":
            return self.choice_from_list(text) or Decision("ask", about=act)
        if act == "yes":
            return Decision("confirm", about=act) if dialogue.calls else Decision("chat", about=act)
        if act in ("no", "stop_talking"):
            if (otherwise := self.what_instead_of_no(best, text)) is not None:
                return otherwise
            # A longer sentence says what shall end.
            is_long = dialogue.question is None and len(text.split()) > MOST_NO_WORDS
            return self._unsure(candidates) if is_long else Decision("decline", about=act)
        if act in ("correction", "more"):
            return self._next_best(candidates, text) or Decision(
                "ask", about=act, candidates=tuple(candidates)
            )
        topic = str(best.arguments.get("topic", "")) if act == "help" else ""
        kind, least = _SURE_ACTS.get(best.intent, _CHAT)
        return Decision(
            kind if best.sureness >= least else "ask", about=act, topic=topic, candidates=tuple(candidates)
        )

    def _perhaps_take_back(self, best: Candidate) -> Decision:
        """Returns the calls that take the last ones back, as a question where an utterance is not so sure."""
        found = self.take_back(best) if best.sureness >= SURE_UNDO else Decision("ask", about="undo")
        # “What did it look like before, upright? Then go back to that” may be about another one.
        is_sure = best.sureness >= SURE_KIND and "?" not in best.text.rstrip(" ?")
        if found.kind != "calls" or is_sure:
            return found
        return found.as_question("confirm_all", UNDO, about=found.about)

    def _next_best(self, candidates: Sequence[Candidate], text: str) -> Decision | None:
        """Returns what the next intent leads to, where an utterance changes nothing of the last calls."""
        candidate = next((one for one in candidates if one.tool is not None and one.sureness >= 0.05), None)
        if candidate is None:
            return None
        decision = self.call_or_ask(candidate, text)
        if decision.kind != "calls" or candidate.intent in READS:
            return decision if decision.kind == "calls" else None
        return ask_about("confirm", decision.calls, (candidate,))

    def _why(self, best: Candidate, candidates: Sequence[Candidate], text: str) -> Decision:
        if best.sureness < SURE_WHY:
            return self._next_best(candidates, text) or self._unsure(candidates)
        question = self.dialogue.question
        if question is not None and question.age == 0 and len(text.split()) <= MOST_WHY_WORDS:
            # It is about what was just asked, and not about what was shown before.
            return Decision("chat", about="why_asked")
        kind = self.dialogue.recent_kind
        name = self.dialogue.last.get(kind) if kind in SHOWS else None
        if (
            not name
            and not self.dialogue.calls
            and (self.dialogue.question or changes.matches("fails", text))
        ):
            kind = "render"
            name = next((one.name for one in self.world.of_kind(kind) if one.state == "failed"), None)
        if not name:
            return Decision("chat", about="why_asked" if self.dialogue.question else "why")
        intent, slot = SHOWS[kind]
        return Decision("calls", calls=(CallRecord(intent, {slot: name}),), about="why", candidates=(best,))


def _may_change_machine(best: Candidate, text: str) -> bool:
    """Returns whether a sentence that names no command orders more than to look: “fix the disk of ember”."""
    command = str(best.arguments.get("command") or "")
    is_named = bool(command) and command.partition(" ")[0] in text
    return not is_named and not text.rstrip().endswith("?") and changes.matches("changes_machine", text)


def _asks_for_nothing(part: str, decision: Decision) -> bool:
    """Returns whether a clause was read as a wish to see something, and neither asks nor orders."""
    return (
        decision.kind == "calls"
        and not change_anything(decision.calls)
        and max((one.sureness for one in decision.candidates), default=1.0) < SURE_OTHER
        and not (part.rstrip().endswith("?") or values.asks(part))
        and not (changes.matches("orders", part) or changes.matches("requests", part))
    )


def _misses_check(call: CallRecord, utterance: str) -> bool:
    """Returns whether words ask for a dry run, and the call is none."""
    return call.intent == "ansible" and values.missing_cue(utterance, call.arguments, ("check",)) is not None


def _offered(decision: Decision) -> tuple[CallRecord, ...]:
    """Returns the calls of a decision, also where they wait for a yes."""
    if decision.kind == "ask" and decision.about == "confirm" and decision.question is not None:
        return decision.question.choices
    return decision.calls if decision.kind == "calls" else ()


def _is_part_of(call: CallRecord, other: CallRecord) -> bool:
    """Returns whether a call says nothing that the other one does not."""
    return call.intent == other.intent and all(
        other.arguments.get(name) == value for name, value in call.arguments.items()
    )


def _is_sure(candidates: Sequence[Candidate]) -> bool:
    """Returns whether the likeliest intent is sure enough. What only reads does no harm: it needs less, and
    less still where the others that are likely only read, too.
    """
    best = candidates[0]
    if best.intent not in READS:
        return best.sureness >= SURE_WRITE
    reads = sum(one.sureness for one in candidates if one.intent in READS)
    return best.sureness >= SURE_READ or (best.sureness >= SURE_READ_AMONG and reads >= SURE_READS)
