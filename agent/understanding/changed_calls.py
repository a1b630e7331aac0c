"""Understands an utterance as a change of the last call: “sorry, Vera instead”, “same for bolt”."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.understanding import changes, values
from agent.understanding.candidates import missing, plain
from agent.understanding.changes import SHORT_WORDS, text_after_colon
from agent.understanding.corrections import Corrections, reports_speech, wants_both
from agent.understanding.decision import SURE_CHANGED, SURE_INTENT, Decision, ask_about
from agent.understanding.dialogue import FOCUS_SLOTS, INSTEAD, CallRecord
from agent.understanding.intents import NEEDS_WORD, READS
from agent.understanding.open_changes import with_new_time
from agent.understanding.reader import Candidate
from agent.understanding.scenes import ADD_SCENE
from agent.understanding.sentence import quotations
from agent.understanding.slots import FIXED, FREE_TEXTS, Filled
from agent.understanding.world import Thing

_TWINS = {
    "machine": "machines",
    "machines": "machine",
    "node": "machine",
    "render": "video",
    "video": "render",
}


def _says_only_values(filled: Filled) -> bool:
    """Returns whether all words are values of arguments, or mean nothing: “make it vertical”."""
    is_clear = not (filled.unknown or filled.ambiguous or filled.loose or filled.unread)
    return bool(filled.arguments) and is_clear and not values.words_beside_values(filled.rest)


@dataclass(frozen=True)
class ChangedCalls(Corrections):
    """Reads an utterance as the last call, or the one that is offered, with other arguments."""

    def call_with_changes(self, text: str, candidates: Sequence[Candidate]) -> Decision | None:
        """Returns the last call with other arguments: “sorry, Vera instead”, “same for bolt”."""
        best = candidates[0]
        proposed = self._offered()
        if not self.dialogue.calls and proposed is None:
            return None
        says_so = best.intent in ("act.correction", "act.more") and best.sureness > 0.3
        is_ellipsis = self.is_ellipsis(best, text)
        if (
            best.tool is not None
            and best.sureness > SURE_INTENT
            and not is_ellipsis
            and (best.unknown or not missing(best.intent, plain(best.arguments)))
        ):
            return None
        if not says_so and (
            len(text.split()) > SHORT_WORDS
            or (
                best.tool is None
                and best.intent not in ("act.choice", "act.nothing", "act.correction", "act.more")
            )
            or (best.sureness > 0.6 and not is_ellipsis)
        ):
            return None
        last = proposed or self.dialogue.calls[-1]
        if last.intent in READS and self._names_other_kind(last.intent, text):
            return None
        asks = values.asks(text) or changes.matches("asks_about", text)
        if asks and last.intent not in READS:
            # “What does the second one say?” changes nothing.
            return None
        if (last.intent in NEEDS_WORD or proposed is not None) and values.matches("negation", text):
            return None
        if reports_speech(text):
            return None
        filled = self.fill_as(last.intent, text)
        merged = self._merged(
            last, filled, text, "act.correction" if best.intent == "act.correction" else "act.more"
        )
        if (
            merged is None
            and best.intent == "act.more"
            and not best.arguments
            and not best.unknown
            and values.says("again", text)
        ):
            merged = dict(last.arguments)
            if last.intent not in READS:
                return self._confirm_again(CallRecord(last.intent, merged), best, text)
        if merged is None:
            return None
        call = CallRecord(last.intent, merged)
        changed = {name: value for name, value in merged.items() if last.arguments.get(name) != value}
        if last.intent == ADD_SCENE and best.intent == "act.correction":
            # The scene that was added is corrected, and none is added.
            if not changed.keys() - {"project", "scene"}:
                return None
            beside = {"project": merged.get("project"), "scene": merged.get("scene", "last")}
            return self._confirm_again(CallRecord("edit_project.change_scene", beside | changed), best, text)
        if last.intent not in READS and (
            not self._is_same_by_words(call, filled, best, text)
            or (best.sureness < SURE_CHANGED and not _says_only_values(filled))
            or last.intent in NEEDS_WORD
            or proposed is not None
            or text.rstrip().endswith("?")
            or quotations(text)
            # “It should say sixth graders” may be about some words of the text, and is no title.
            or (changed.keys() & FREE_TEXTS and text_after_colon(text) is None)
            or self.reader.may_divide(text, self.world)
        ):
            return self._confirm_again(call, best, text)
        about = best.intent.partition(".")[2] if best.tool is None else "change"
        return Decision("calls", calls=(call,), about=about, candidates=(best,))

    def _names_other_kind(self, intent: str, text: str) -> bool:
        """Returns whether a text has a noun for things that an intent is not about: “the last video” after a
        project.
        """
        kinds = values.words().values["kind"]
        named = {kinds[word] for word in values.WORD.findall(text.lower()) if word in kinds}
        return bool(named) and not named & {FOCUS_SLOTS.get(one) for one in self.reader.slots.get(intent, ())}

    def _is_same_by_words(self, call: CallRecord, filled: Filled, best: Candidate, text: str) -> bool:
        """Returns whether the n-grams alone find the same changes of the last call."""
        if self.reader.encoder is None or not filled.arguments:
            return True
        by_words = self.reader.by_words.fill_as(
            call.intent, text, self.world, self.dialogue.focus(), self.now
        )
        return plain(by_words.arguments) == plain(filled.arguments)

    def _confirm_again(self, call: CallRecord, best: Candidate, text: str) -> Decision:
        return ask_about("confirm", [call], (best,), subject="" if wants_both(text) else INSTEAD)

    def is_ellipsis(self, best: Candidate, text: str) -> bool:
        """Returns whether a few words name nothing, and only values that the last call may have: “srt”."""
        named = [one for one in best.arguments.values() if isinstance(one, Thing | list)]
        if values.scene_number(text) is not None and values.matches("ends", text):
            # “Scene 2 can go” is no number of scenes.
            return False
        last = self._offered() or next(reversed(self.dialogue.calls), None)
        is_short = len(text.split()) <= SHORT_WORDS and not named
        return is_short and last is not None and self._fits(last.intent, best)

    def _fits(self, last: str, best: Candidate) -> bool:
        if best.intent == last and best.arguments and set(best.arguments) <= FIXED:
            return True
        return (
            best.intent == "edit_project.change"
            and last in ("make_render", "write_script.film")
            and set(best.arguments) <= set(self.reader.slots.get(last, ()))
        )

    def _merged(self, last: CallRecord, filled: Filled, text: str, act: str) -> dict[str, Any] | None:
        """Returns the arguments of the last call with those that the utterance changes; else None. `filled`:
        the text as arguments of that call.
        """
        slots = set(self.reader.slots.get(last.intent, ()))
        lower_words: dict[str, Any] = {}
        of_act = self.fill_as(act, text)
        for intent, found in ((last.intent, filled), (act, of_act)):
            for name, value in plain(found.arguments).items():
                target = _TWINS.get(name, name) if name not in slots else name
                if (
                    target in slots
                    and target not in lower_words
                    and not (intent == last.intent and name in FREE_TEXTS)
                ):
                    lower_words[target] = value
        if "script" in slots and (after := text_after_colon(text)) is not None:
            lower_words["script"] = after
        changed = {
            name: value for name, value in lower_words.items() if str(last.arguments.get(name)) != str(value)
        }
        if not changed:
            return None
        arguments = {**last.arguments, **changed}
        if last.arguments.get("publish_at") and changed.get("publish_at"):
            arguments["publish_at"] = with_new_time(
                text, *(str(one["publish_at"]) for one in (last.arguments, changed))
            )
        if "project" in changed and "script" not in changed:
            arguments.pop("script", None) if last.intent == "make_render" else None
        if "render" in changed or "machine" in changed or "scene" in changed:
            arguments.pop("scene_numbers", None)
        return arguments
