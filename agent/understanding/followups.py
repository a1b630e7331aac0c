"""Understands utterances by the ones before: answers, choices, and changes of the last call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent.understanding import changes, values
from agent.understanding.candidates import SENTENCE_END, plain
from agent.understanding.changed_calls import ChangedCalls
from agent.understanding.changes import LOOK, SHORT_WORDS, text_after_colon
from agent.understanding.corrections import wants_both
from agent.understanding.decision import (
    SURE_INTENT,
    SURE_OTHER,
    SURE_READ,
    Decision,
    ask_about,
)
from agent.understanding.dialogue import SAME_TITLE, YES_OR_NO, CallRecord, Question
from agent.understanding.intents import DESTRUCTIVE, NEEDS_WORD, READS, SHOWS
from agent.understanding.labels import fields, has_other_label
from agent.understanding.open_questions import Fit, fit_of, is_bare_choice
from agent.understanding.reader import MOST_CHARS, Candidate
from agent.understanding.references import is_bare, same_of
from agent.understanding.scenes import about_scene, scenes_as_answer, scenes_by_name, with_named_scenes
from agent.understanding.sentence import quotations
from agent.understanding.slots import FREE_TEXTS, Filled
from agent.understanding.titles import choice_of_project
from agent.understanding.turn import NAMES
from agent.understanding.video_requests import topic_as_answer
from agent.understanding.world import Thing, fold

MOST_NAME_WORDS = 6
_SENTENCES = re.compile(r"(?<=\w)[.!?…]+[\"”“]?\s+")
_CLAUSE_END = re.compile(r"[.!?…,;:]+\s+")
SHORT_ANSWER_WORDS = 4
LEAST_BUT_WORDS = 3
"""A shorter yes has no more to say."""
NAMED_LIKE_TEXT = frozenset({"project", "render", "scene"})
"""What is often called as what it is about: “dogs” is a topic, also where a project has that name."""
_ENDS = frozenset({"act.no", "act.stop_talking"})
PUBLISHES = "publish_render.publish"
LOOSE_BESIDE_TEXT = ("title", "persona", "topic")
"""What a script names more often than it means: “Hello, I am Nova” is all text."""
ORDINAL = re.compile(
    r"\b\d+(?:st|nd|rd|th)\b|#\s?\d|\b(?:number|no\.|nummer|nr\.?|scene|szene|\d\.) ?\w", re.IGNORECASE
)
"""What says a place in a list, beside ordinals in words."""
MOST_KIND_WORDS = 3
"""So short an answer to which is meant says the kind: “the project”."""
_TELLING: Mapping[str, tuple[str, ...]] = {
    "edit_project.delete": ("project", "projekt"),
    "cancel_render.delete": ("video", "clip", "film", "movie"),
}


def _is_one_more(question: Question, text: str) -> bool:
    """Returns whether an answer wants a video beside the last one: “a second one”."""
    is_short = len(text.split()) <= SHORT_ANSWER_WORDS and not changes.matches("orders", text)
    return is_short and [one.intent for one in question.choices] == ["make_render"] and wants_both(text)


def _text_of(question: Question) -> str | None:
    """Returns which argument a question asks for that is taken word for word; none beside a topic."""
    if "topic" in question.missing:
        return None
    return next((one for one in ("script", "text") if one in question.missing), None)


def _names_in(question: Question) -> set[str]:
    """Returns the arguments of the calls that a question offers, folded."""
    return {fold(str(value)) for one in question.choices for value in one.arguments.values()}


def _may_be_look(text: str) -> bool:
    """Returns whether a few words may describe how something shall look, in words that are not known here."""
    is_other = values.asks(text) or changes.matches("orders", text) or changes.cannot_do(text) is not None
    return len(text.split()) <= MOST_NAME_WORDS and not is_other


def _wants_quality(question: Question, text: str) -> bool:
    """Returns whether an answer asks for a quality that nobody makes, which “join our 8k run” does not."""
    if quotations(text) or changes.cannot_do(text) != "quality":
        return False
    if not any(name in FREE_TEXTS for name in question.missing):
        return True
    parts = (text, _CLAUSE_END.split(text.strip())[-1])
    is_short = any(len(one.split()) <= SHORT_ANSWER_WORDS and changes.cannot_do(one) for one in parts)
    return is_short or text.rstrip().endswith("?") or values.asks(text) or changes.matches("requests", text)


@dataclass(frozen=True)
class FollowUp(ChangedCalls):
    """Reads an utterance after the ones before."""

    def choice_from_list(self, text: str) -> Decision | None:
        """Returns the call that shows a chosen thing of the last list."""
        bare = is_bare_choice(text)
        if not bare and (values.matches("ends", text) or changes.look_of(text)):
            # “The last one can go” and “the second one slower” ask for more than to see it.
            return None
        # “Closed with two s” chooses nothing.
        place = values.ordinal(text) if bare or ORDINAL.search(text) else changes.place_in_list(text)
        for kind, names in self.dialogue.shown.items():
            if kind == "persona" and bare and place is not None and 0 < abs(place) <= len(names):
                chosen = {"persona": names[place - 1 if place > 0 else place]}
                question = Question("missing", "make_render", chosen, ("script", "project"))
                return Decision("ask", about="missing", question=question)
            if place is not None and names and abs(place) <= len(names) and place != 0 and kind in SHOWS:
                intent, slot = SHOWS[kind]
                arguments = {slot: names[place - 1 if place > 0 else place]}
                if kind == "scene" and (project := self.dialogue.last.get("project")):
                    arguments["project"] = project
                return Decision("calls", calls=(CallRecord(intent, arguments),), about="choice")
        return None

    def what_was_spoken_of(self, best: Candidate, text: str) -> Decision | None:
        """Returns the call that shows what was spoken of last, where a short question names no kind of thing
        and another kind was guessed: “is it ready?” after words about a machine.
        """
        kind = self.dialogue.recent_kind
        last = self.dialogue.last.get(kind)
        if kind not in SHOWS or not (last or kind == "run"):
            return None
        intent, slot = SHOWS[kind]
        if intent == best.intent and self.dialogue.calls[-1:] and self.dialogue.calls[-1].intent == PUBLISHES:
            # “Has it gone through?” after a publication asks for that.
            intent = "publish_render.show"
        guesses = {one for one, _ in SHOWS.values()} - {intent}
        if kind == "machine":
            # It may be about what runs there.
            guesses -= {"cluster_status", "show_runs"}
        if (
            best.intent not in guesses
            or best.arguments
            or len(text.split()) > MOST_NAME_WORDS
            or not values.says_pronoun(text)
            or changes.matches("names_kind", text)
        ):
            return None
        # A run that did not come about has no name.
        call = CallRecord(intent, {slot: last} if last else {})
        return Decision("calls", calls=(call,), about="spoken_of", candidates=(best,))

    def same_for_what_was_spoken_of(self, best: Candidate, text: str) -> Decision | None:
        """Returns the question whether a change that was read for another kind of thing is meant for what was
        spoken of last: “stop it” after words about a job.
        """
        kind = self.dialogue.recent_kind
        if kind == "scene" and not self.dialogue.last.get(kind):
            # The scenes of a project were listed.
            kind = "project"
        same = same_of(kind, best.intent)
        named = any(isinstance(one, Thing) for one in best.arguments.values())
        last = self.dialogue.last.get(kind)
        if same is None or not last or named or len(text.split()) > MOST_NAME_WORDS or not is_bare(text):
            return None
        intent, slot = same
        arguments = {slot: last}
        if kind == "scene" and (project := self.dialogue.last.get("project")):
            arguments["project"] = project
        return ask_about("confirm", [CallRecord(intent, arguments)], (best,))

    def what_instead_of_no(self, best: Candidate, text: str) -> Decision | None:
        """Returns the question whether the last call shall be made otherwise: “no wait, Milo, not Vera”."""
        if not self.dialogue.calls or len(text.split()) < 2:
            return None
        last = self.dialogue.calls[-1]
        if last.intent in READS or last.intent in NEEDS_WORD:
            return None
        filled = self.fill_as(last.intent, text)
        merged = self._merged(last, filled, text, "act.correction")
        return None if merged is None else self._confirm_again(CallRecord(last.intent, merged), best, text)

    def answer(self, question: Question, text: str, candidates: Sequence[Candidate]) -> Decision | None:
        """Returns the decision that an answer to the open question leads to; None for something else."""
        best = candidates[0]
        if _wants_quality(question, text):
            return Decision("refuse", about="quality")
        if (apart := self._text_and_instruction(question, text)) is not None:
            return apart
        if "script" in question.missing and changes.matches("for_whom", text):
            # Whom it is for is nothing that is spoken.
            return Decision("ask", about="missing", question=question)
        named = scenes_by_name(self, text) if "script" in question.missing else None
        scenes = named or scenes_as_answer(self, question, text) or topic_as_answer(question, text)
        if scenes is not None:
            return scenes
        if about_scene(self, text) is not None:
            # “Scene 2: …” and “who speaks in scene 2?” are no text that was asked for.
            return None
        is_text = "script" in question.missing and len(text.split()) > SHORT_ANSWER_WORDS
        if is_text and not changes.matches("corrects", text):
            # “Please do not run in the corridor” is spoken.
            best = replace(best, sureness=min(best.sureness, 0.5)) if best.intent in _ENDS else best
        if best.intent in _ENDS and best.sureness > 0.5:
            # “No, on Friday” says what shall be instead.
            return None if self.on_earlier(text) is not None else Decision("decline", about="no")
        if question.about == "confirm_all":
            yes = best.intent == "act.yes" and best.sureness >= SURE_INTENT
            return (
                Decision("calls", calls=question.choices, about="choice", candidates=(best,)) if yes else None
            )
        if question.about == "confirm" and (self._names_it(question, text) or _is_one_more(question, text)):
            return Decision("calls", calls=question.choices, about="choice", candidates=(best,))
        if question.choices and not (question.about in YES_OR_NO and best.intent != "act.yes"):
            chosen = self._choice_of(question, text, best)
            if chosen is not None:
                if (otherwise := self._yes_but(chosen, text)) is not None:
                    return otherwise
                return Decision("calls", calls=(chosen,), about="choice", candidates=(best,))
        if not question.missing:
            return None
        asks_text = any(name in FREE_TEXTS for name in question.missing) and not quotations(text)
        if asks_text and (
            changes.says_only_look(text) or ("script" in question.missing and self._only_speaker(text))
        ):
            return self._with_look(question, text, best)
        fit = fit_of(question, text, best, self.world)
        is_exact = bool(quotations(text)) or ":" in text
        speaks = not is_exact and _text_of(question) == "script" and self._names_speaker(text)
        if fit is Fit.ANSWER and (speaks or self._may_be_order(question, text)):
            fit = Fit.UNCLEAR
        if fit is Fit.OTHER:
            return None
        answered = self._with_missing(question, text, best)
        if answered is not None and answered.kind == "calls":
            answered = with_named_scenes(answered.calls[0]) or answered
        if answered is None and set(question.missing) <= set(LOOK) and _may_be_look(text):
            # What a look may be is said in the question.
            return Decision("ask", about="missing", candidates=(best,), question=question)
        return self._text_or_order(answered, candidates, text) if fit is Fit.UNCLEAR else answered

    def _text_and_instruction(self, question: Question, text: str) -> Decision | None:
        """Returns the question whether the last sentence of a text says who speaks it or how it looks, and is
        not spoken: “Plants drink water. Amina should say it, please”.
        """
        if _text_of(question) is None or quotations(text):
            return None
        ends = [one.end() for one in _SENTENCES.finditer(text.strip())]
        if not ends:
            return None
        spoken, last = text.strip()[: ends[-1]].strip(), text.strip()[ends[-1] :].strip()
        look: dict[str, Any] = dict(changes.look_of(last)) if changes.says_only_look(last) else {}
        if (name := self._only_speaker(last.rstrip(" .!"))) is not None:
            look["persona"] = name
        slots = set(self.reader.slots.get(question.intent, ()))
        if not look or not set(look) <= slots:
            return None
        slot = str(_text_of(question))
        lead = changes.text_after_label(spoken) or spoken
        apart = CallRecord(question.intent, {**question.arguments, slot: lead, **look})
        whole = CallRecord(question.intent, {**question.arguments, slot: text.strip()})
        return ask_about("unsure", (apart, whole))

    def _may_be_order(self, question: Question, text: str) -> bool:
        """Returns whether an answer that would be spoken as it is may be an order: it names a project or a
        video, says how something looks, or corrects.
        """
        is_exact = quotations(text) or text_after_colon(text) is not None or values.text_after_lead(text)
        if _text_of(question) is None or is_exact:
            return False
        # Scripts have single words of titles, and titles are beginnings of scripts.
        titles = [one.name.lower() for one in self.world.of_kind("project", "render") if " " in one.name]
        names = any(title in text.lower() and not text.lower().startswith(title) for title in titles)
        slots = self.reader.slots.get(question.intent, ())
        is_short = len(text.split()) <= SHORT_WORDS
        return names or (
            is_short
            and (
                bool(changes.look_of(text))
                or changes.matches("corrects", text)
                or values.missing_cue(text, question.arguments, slots) is not None
            )
        )

    def _names_speaker(self, text: str) -> bool:
        """Returns whether an answer begins with a presenter who says something: “Milo says hello”."""
        names = "|".join(re.escape(one.name) for one in self.world.of_kind("persona") if one.name)
        found = re.match(rf"\W*(?:{names})\s+", text, re.IGNORECASE) if names else None
        return (
            found is not None and changes.change_words().patterns["says"].match(text, found.end()) is not None
        )

    def _names_it(self, question: Question, text: str) -> bool:
        """Returns whether an answer repeats what the one call that was asked about is for: “bolt”, or the
        presenter of the last video. Nothing is deleted for a name alone.
        """
        if any(one.intent in DESTRUCTIVE for one in question.choices):
            return False
        named = _names_in(question)
        film = self.dialogue.film
        if film is not None and fold(self.dialogue.last.get("render", "")) in named:
            named.add(fold(str(film.arguments.get("persona", ""))))
        return len(question.choices) == 1 and fold(text) in named

    def _with_look(self, question: Question, text: str, best: Candidate) -> Decision | None:
        """Notes how something shall look whose text is still missing; None where it has no such look."""
        slots = set(self.reader.slots.get(question.intent, ()))
        look: dict[str, Any] = {slot: value for slot, value in changes.look_of(text).items() if slot in slots}
        if "persona" in slots and (name := self._only_speaker(text)) is not None:
            look["persona"] = name
        if not look:
            return None
        return self.call_or_ask(Candidate(question.intent, {**question.arguments, **look}, 1.0, text), text)

    def _text_or_order(
        self, answered: Decision | None, candidates: Sequence[Candidate], text: str
    ) -> Decision | None:
        """Returns the question whether an answer is the text that was asked for, or an order of its own."""
        if answered is None or answered.kind != "calls":
            return answered
        order = self.call_or_ask(candidates[0], text) if candidates[0].tool is not None else None
        if order is None or order.kind != "calls":
            return ask_about("confirm", answered.calls, (candidates[0],))
        return ask_about("unsure", (*answered.calls, *order.calls), (candidates[0],))

    def _yes_but(self, chosen: CallRecord, text: str) -> Decision | None:
        """Returns the question whether a chosen change shall be made otherwise: “yes, but with Milo”."""
        if len(text.split()) < LEAST_BUT_WORDS or chosen.intent in READS:
            return None
        filled = self.fill_as(chosen.intent, text)
        merged = self._merged(chosen, filled, text, "act.correction")
        return None if merged is None else ask_about("confirm", [CallRecord(chosen.intent, merged)])

    def _choice_of(self, question: Question, text: str, best: Candidate) -> CallRecord | None:
        if question.about == SAME_TITLE and (meant := choice_of_project(question.choices, text)) is not None:
            return meant
        if best.intent == "act.yes" and best.sureness >= SURE_INTENT and len(question.choices) == 1:
            return question.choices[0]
        place = values.ordinal(text) if is_bare_choice(text) else None
        if place is not None and place != 0 and abs(place) <= len(question.choices):
            return question.choices[place - 1 if place > 0 else place]
        lower_words, asks_which = fold(text), question.about == "which"
        named = [
            one for one in question.choices if lower_words in map(fold, map(str, one.arguments.values()))
        ]
        if asks_which and len(named) == 1:
            return named[0]
        if (
            best.tool is not None
            and best.sureness >= SURE_OTHER
            and best.intent not in {one.intent for one in question.choices}
            # A bare name or kind asks for nothing else.
            and lower_words not in _names_in(question)
            and not (asks_which and len(text.split()) <= MOST_KIND_WORDS)
        ):
            return None
        intents = [choice.intent for choice in question.choices]
        orders = changes.matches("orders", text) or values.asks(text)
        if orders and best.intent in READS and best.sureness >= SURE_READ and best.intent not in intents:
            # It names what one of the choices is about, and wants to see something.
            return None
        fitting = [
            choice
            for choice in question.choices
            if (
                intents.count(choice.intent) == 1
                and any(word in lower_words for word in _TELLING.get(choice.intent, ()))
            )
            # Nothing is deleted for a name alone, unless it was asked which one.
            or (
                (choice.intent not in DESTRUCTIVE or asks_which or intents.count(choice.intent) > 1)
                and any(
                    isinstance(value, str) and len(fold(value)) > 2 and fold(value) in lower_words
                    for value in choice.arguments.values()
                )
            )
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _with_missing(self, question: Question, text: str, best: Candidate) -> Decision | None:
        if set(question.missing) <= set(LOOK):
            return self._with_missing_look(question, text)
        slot_names = self.reader.slots.get(question.intent, ())
        if has_other_label(text, slot_names) or any(
            one.slot_of(slot_names) is None for one in fields(text[:MOST_CHARS])
        ):
            # “Topic: our new canteen” is no text that is spoken.
            return None
        filled = Filled()
        if len(text) <= MOST_CHARS:
            # A longer answer is the text itself.
            filled = self.fill_as(question.intent, text)
        arguments = {**question.arguments, **plain(filled.arguments)}
        arguments |= self._whole_topic(question, text, filled)
        if after := self._after_colon(question, text):
            arguments = {**question.arguments, **after}
        elif (name := _text_of(question)) and (
            not filled.arguments.keys() - {name, *LOOSE_BESIDE_TEXT} or self._is_text(text, filled)
        ):
            if self._is_no_text(text, name):
                return None
            if not quotations(text):
                lead = values.text_after_lead(text) or changes.text_after_label(text)
                if lead is not None and changes.is_indirect(text, lead):
                    return Decision("ask", about="exact", candidates=(best,), question=question)
                arguments = {**question.arguments, name: text.strip() if lead is None else lead}
                filled.unknown.clear()
        if not any(arguments.get(name) not in (None, "") for name in question.missing):
            free = next((name for name in question.missing if name in FREE_TEXTS), None)
            like_text = NAMED_LIKE_TEXT | (NAMES if free == "topic" else frozenset()) if free else frozenset()
            if plain(filled.arguments).keys() - like_text:
                # It says something else, such as the format: that is noted, and the question stays.
                noted = self.call_or_ask(Candidate(question.intent, arguments, 1.0, text), text)
                return None if noted.kind == "calls" else noted
            if free is None or self._is_no_text(text, free):
                return None
            arguments = {name: value for name, value in arguments.items() if name not in like_text}
            # The whole answer is the name, and none of its words names something else.
            filled.unknown.clear()
            arguments[free] = text.strip().strip('"“”„').strip()
        candidate = Candidate(question.intent, arguments, 1.0, text, filled.unknown)
        return self.call_or_ask(candidate, text)

    def _with_missing_look(self, question: Question, text: str) -> Decision | None:
        named = {slot: values.constant_value(slot, text) for slot in question.missing}
        found = {slot: value for slot, value in named.items() if value} | changes.look_of(text)
        if not set(found) & set(question.missing):
            return None
        return self.call_or_ask(Candidate(question.intent, {**question.arguments, **found}, 1.0, text), text)

    def _is_text(self, text: str, filled: Filled) -> bool:
        """Returns whether words mean something beside the arguments that were found in them."""
        is_look = changes.says_only_look(text)
        if quotations(text) or is_look:
            return False
        is_long = len(text.split()) > MOST_NAME_WORDS
        return bool(filled.unknown) or (is_long and len(values.words_beside_values(filled.rest)) > 1)

    def _is_no_text(self, text: str, slot: str) -> bool:
        """Returns whether an answer is none to the question for a name: it is too long, or denies one."""
        words = len(text.split())
        return slot in ("title", "name") and (words > MOST_NAME_WORDS or values.matches("negation", text))

    def _after_colon(self, question: Question, text: str) -> dict[str, str]:
        """Returns what follows a colon as the missing text, word for word: “it should say: …”."""
        name = _text_of(question)
        after = text_after_colon(text)
        return {} if name is None or after is None else {name: after}

    def _whole_topic(self, question: Question, text: str, filled: Filled) -> dict[str, str]:
        """Returns the whole answer as the missing topic, where it is some sentences and a part was taken."""
        name = "topic"
        part = filled.arguments.get(name)
        if (
            name not in question.missing
            or name not in filled.loose
            or not isinstance(part, str)
            or len(filled.arguments) > 1
        ):
            return {}
        whole = text.strip()
        return {name: whole} if whole.startswith(part) and SENTENCE_END.search(whole) else {}
