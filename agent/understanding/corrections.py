"""Understands what changes the last video or scene: “slower”, “no, on Friday”, “remove the captions”."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agent.understanding import calculations, changes, values
from agent.understanding.asides import (
    about_conversation,
    about_presenter,
    calculate,
    cancel_plans,
    how_much_longer,
    list_approvals,
    list_names,
    read_installation,
    restart_of_machine,
    retry_last,
    show_last,
)
from agent.understanding.changes import text_after_colon
from agent.understanding.decision import SURE_OTHER, Decision, ask_about
from agent.understanding.dialogue import INSTEAD, CallRecord, Question
from agent.understanding.intents import READS
from agent.understanding.open_changes import MOST_CORRECTION_WORDS, with_other_offer
from agent.understanding.reader import Candidate
from agent.understanding.rewording import correct_word, replace_like, replace_words
from agent.understanding.scenes import about_scene, copy_project, copy_scene, swap_scenes
from agent.understanding.sentence import quotations
from agent.understanding.traits import speakers_of_last, video_by_trait, videos_of_presenter
from agent.understanding.versions import MOST_LOOK_WORDS, NEW_THING, Versions, instead
from agent.understanding.video_requests import video_request, with_added_words
from agent.understanding.when import patterns

LEAST_TEXT_WORDS = 4
MOST_TALK_WORDS = 24
ORDERED = frozenset({"length", "volume"})
"""What nobody here can do, and words for which stand in other questions, too."""
CAPTION_LETTERS = "caption_letters"
"""What nobody here changes of captions: their colour and font."""
TEXTS = frozenset({"script", "text", "topic", "about", "title"})
SCENE_LOOK = frozenset({"pace", "background"})
"""Looks that each scene of a project has by itself."""
_BEFORE_TITLE = re.compile(r"(?:(?:making|rendering|the|that|this|my|our|video|clip|den|das|die) ?)*")
_ENDS_CLAUSE = re.compile(r"(?:\s+(?:please|bitte|now|jetzt|ab))*\s*(?:[,.;!?–-]|$)")
_ASKS_FOR = re.compile(r"^(?:(?:please|bitte|(?:can|could|would|will) you|kannst du|könntest du)[\s,]+)*")


def reports_speech(text: str) -> bool:
    """Returns whether what follows a colon is what somebody said, and no text: “I said: don't cancel it”."""
    before, colon, _ = text.partition(":")
    return bool(colon) and re.search(patterns()["reported"], before, re.IGNORECASE) is not None


def wants_both(text: str) -> bool:
    """Returns whether a change of the last wish shall leave what it made: “and with Vera, too”."""
    return values.matches("also", text) or values.says("again", text)


@dataclass(frozen=True)
class Corrections(Versions):
    """Reads an utterance as a change of what was made last."""

    def on_earlier(self, text: str) -> Decision | None:
        """Returns the decision on an utterance about what was made or said before; None for any other."""
        if reports_speech(text):
            return None
        return (
            list_names(self, text)
            or about_conversation(self, text)
            or restart_of_machine(self, text)
            or list_approvals(self, text)
            or about_presenter(self, text)
            or calculate(text)
            or read_installation(self, text)
            or show_last(self, text)
            or video_request(self, text)
            or retry_last(self, text)
            or cancel_plans(self, text)
            or how_much_longer(self, text)
            or copy_scene(self, text)
            or copy_project(self, text)
            or about_scene(self, text)
            or self._talk(text)
            or with_other_offer(self, text)
            or swap_scenes(self, text)
            or self._other_voice(text)
            or self.call_with_words(text)
            or with_added_words(self, text)
            or self._call_with_other_words(text)
            or self._call_for_each(text)
            or self._other_version(text)
            or self._by_other_speaker(text)
            or videos_of_presenter(self, text)
            or video_by_trait(self, text)
            or self._call_with_look(text)
            or self.film_with_title(text)
            or self._text_for_project(text)
            or self._what_instead(text)
        )

    def perhaps_look(self, text: str) -> Decision | None:
        """Returns the question whether the last video shall look so, where other words stand beside it."""
        return None if reports_speech(text) else self._call_with_look(text, is_whole=False)

    def perhaps_script(self, text: str, decision: Decision) -> Decision | None:
        """Returns the question whether a plain statement shall be spoken, where nothing else fits it."""
        question = self.dialogue.question
        if decision.kind != "ask" or (question is not None and question.missing):
            return None
        if text_after_colon(text) is not None or quotations(text):
            # It says itself what shall be spoken.
            return None
        found = decision.question
        offers_film = found is not None and {one.intent for one in found.choices} == {"make_render"}
        if (
            decision.about == "unsure"
            and found is not None
            and not offers_film
            and changes.is_statement(text)
        ):
            # It resembles orders, and may as well be what shall be spoken.
            film = CallRecord("make_render", {"script": text.strip()})
            return replace(decision, question=replace(found, choices=(film, *found.choices[:2])))
        names_text = found is None or offers_film or (not found.choices and bool(TEXTS & set(found.missing)))
        if not names_text or decision.about in ("exact", "repeat") or not changes.is_statement(text):
            return None
        rest = dict(found.choices[0].arguments) if found is not None and offers_film else {}
        call = CallRecord("make_render", {**rest, "script": text.strip()})
        return ask_about("confirm", [call])

    def what_is_missing(self, text: str, candidates: Sequence[Candidate]) -> Decision | None:
        """Returns the refusal that names what nobody here can do: “translate it”."""
        best = candidates[0] if candidates else None
        spoken = changes.without_quotations(text)
        if len(spoken.split()) > MOST_TALK_WORDS or text_after_colon(text) is not None:
            return None
        asks = (
            text.rstrip().endswith("?")
            or values.asks(text)
            or changes.matches("requests", text)
            or changes.matches("orders", text)
            or len(spoken.split()) <= MOST_CORRECTION_WORDS
        )
        if changes.matches("languages_of_captions", spoken):
            return Decision("refuse", about="caption_language")
        is_creating = (
            best is not None and best.intent == "create_persona.create" and best.sureness >= SURE_OTHER
        )
        if changes.matches("own_face", spoken) and not is_creating:
            return Decision("refuse", about="own_face")
        name = changes.cannot_do(spoken)
        if name in ORDERED and changes.matches("asks_amount", text):
            # “How much longer will it take?”
            return None
        is_complaint = name in ORDERED and changes.matches("ours", text)
        if name is None or not (asks or is_complaint):
            return None
        if best is not None and best.tool is not None and best.intent not in READS:
            texts = [value for value in best.arguments.values() if isinstance(value, str)]
            is_sure = best.sureness >= SURE_OTHER
            if is_sure and any(
                changes.cannot_do(value) == name for value in texts if len(value.split()) >= LEAST_TEXT_WORDS
            ):
                # It is spoken in the video, or what that is about.
                return None
        return Decision("refuse", about=name)

    def _talk(self, text: str) -> Decision | None:
        """Returns the answer to a question about the conversation itself."""
        film = self.dialogue.film
        last = self.dialogue.calls[-1] if self.dialogue.calls else None
        if last is not None and last.intent == "code_runner":
            code = calculations.further_calculation(text, str(last.arguments.get("code") or ""))
            if code is not None:
                return Decision("calls", calls=(CallRecord(last.intent, {"code": code}),), about="more")
        if last is not None and last.intent == "memory.recall" and changes.matches("forgets_it", text):
            call = CallRecord("memory.forget", {"about": last.arguments.get("about")})
            return ask_about("confirm", [call]) if call.arguments["about"] else None
        if last is not None and last.intent == "memory.remember":
            also = changes.also_that(text) or _also_is(text)
            if changes.matches("forgets_it", text):
                return self.take_back()
            if also is not None:
                call = CallRecord(last.intent, {**last.arguments, "text": also})
                return Decision("calls", calls=(call,), about="also")
        if changes.matches("takes_back", text) or self._takes_back_last(text) or self._ends_both(text):
            return self.take_back()
        if (gone := self._plan_that_ends(text) or self._film_that_ends(text)) is not None:
            return gone
        if changes.matches("what_do_you_mean", text):
            return Decision("ask", about="repeat", question=self.dialogue.question)
        script = film.arguments.get("script") if film is not None else None
        if script and self.dialogue.recent_kind == "render" and changes.matches("says_what", text):
            return Decision("chat", about="says_what", topic=str(script))
        if changes.matches("who_spoke", text):
            if film is not None and "project" not in film.arguments:
                return Decision("chat", about="who_spoke", topic=str(film.arguments.get("persona") or "Nova"))
            if speakers := speakers_of_last(self):
                return Decision("chat", about="who_spoke", topic=", ".join(speakers))
        return self.film_it(text)

    def _text_for_project(self, text: str) -> Decision | None:
        """Returns the question whether the scenes made last shall have these words: “use this text: …”."""
        last = self.dialogue.calls[-1] if self.dialogue.calls else None
        project, words = self.dialogue.last.get("project"), text_after_colon(text)
        if last is None or not last.intent.startswith("write_script.") or not project or words is None:
            return None
        if not changes.matches("uses_text", text):
            return None
        return ask_about("confirm", [CallRecord("write_script.draft", {"project": project, "text": words})])

    def film_it(self, text: str) -> Decision | None:
        """Returns the video of the project that was spoken of last: “render it”."""
        project = self.dialogue.last.get("project")
        is_recent = self.dialogue.recent_kind in ("project", "scene")
        if not project or not is_recent:
            return None
        order, look = _order_with_look(text)
        if not changes.matches("films_it", order):
            return None
        call = CallRecord("make_render", {"project": project, **look})
        return Decision("calls", calls=(call,), about="film")

    def _takes_back_last(self, text: str) -> bool:
        """Returns whether a text says that the last call shall not be for what it was for: “not cedar after
        all”.
        """
        if len(text.split()) > MOST_CORRECTION_WORDS or len(self.dialogue.calls) != 1:
            return False
        if not changes.matches("after_all_not", text):
            return False
        named = [one.name for one in self._named(text)]
        return len(named) == 1 and named[0] in self.dialogue.calls[0].arguments.values()

    def _ends_both(self, text: str) -> bool:
        """Returns whether several videos that were begun together shall be stopped: “cancel both”."""
        begun = [one for one in self.dialogue.calls if one.intent == "make_render"]
        return len(begun) > 1 and changes.matches("ends_both", text)

    def _plan_that_ends(self, text: str) -> Decision | None:
        """Returns the question whether a plan of the list shown last shall be cancelled: “the one with bolt
        can go”.
        """
        calls = self.dialogue.calls
        if not calls or calls[-1].intent != "triggers.list" or not values.matches("ends", text):
            return None
        named = list(dict.fromkeys(one.name for one in self._named(text)))
        if len(named) != 1 or not changes.matches("one_of_list", text):
            return None
        call = CallRecord("triggers.cancel", {"trigger": named[0]})
        return ask_about("confirm", [call])

    def _film_that_ends(self, text: str) -> Decision | None:
        """Returns the call that stops a video, “let's not wait, stop it”, or the question whether one shall
        be stopped: “drop the Vera one”, “drop the cinema one”.
        """
        if (
            len(text.split()) > MOST_LOOK_WORDS
            or text_after_colon(text) is not None
            or quotations(text)
            or changes.matches("stops_if", text)
            or changes.spares(text)
            or re.search(patterns()["reported"], text, re.IGNORECASE)
        ):
            return None
        last, named = self.dialogue.last.get("render"), self._named(text)
        active = self.world.films_in_work()
        titles = [one.name for one in named if one.kind == "render"]
        if stops := changes.matches("stops_it", text):
            name = titles[0] if len(titles) == 1 else last if not named else None
        elif any(_orders_end_of(title, text) for title in titles):
            # “Stop the Welcome clip” is an order as any other.
            return None
        elif (word := changes.one_by_name(text)) is not None and values.matches("ends", text):
            film, names = self.dialogue.film, [one.name for one in named if one.kind == "persona"]
            titled = [one.id or one.name for one in active if word in one.name.lower().split()]
            if film is not None and names == [film.arguments.get("persona")]:
                name = last
            else:
                name = titled[0] if len(titled) == 1 else None
        else:
            return None
        if not any(name in (one.id, one.name) for one in active):
            return None
        call = CallRecord("cancel_render.cancel", {"render": name})
        for one in named:
            text = text.replace(one.name, " ")
        if stops and not changes.matches("names_kind", text):
            return Decision("calls", calls=(call,), about="stop")
        return ask_about("confirm", [call])

    def call_with_words(self, text: str) -> Decision | None:
        """Returns the call of the last video with other words: “it should say: Good evening”."""
        film, question = self.dialogue.film, self.dialogue.question
        script = values.new_words(text)
        if (
            script is None
            or film is None
            or film.arguments.get("script") in (None, script)
            or (question is not None and question.missing)
            or wants_both(command := text.removesuffix(script))
            or values.says("goes_on", command)
        ):
            return None
        return Decision("calls", calls=(CallRecord(film.intent, {**film.arguments, "script": script}),),
                        about="correction")  # fmt: skip

    def _call_with_other_words(self, text: str) -> Decision | None:
        """Returns the call with some words of the text replaced: “change "teh" to "the"”, “no, on Friday”."""
        film = self.dialogue.film
        script = str(film.arguments.get("script") or "") if film is not None else ""
        pair, quoted = changes.replacement_in(text), quotations(text)
        is_correction = pair is not None or changes.matches("corrects", text)
        if is_correction and len(quoted) == 1 and (part := replace_like(script, quoted[0].text)) is not None:
            # “It must be "Welcome to Casa Lupo", not at”.
            return (
                None if film is None else instead(replace(film, arguments={**film.arguments, "script": part}))
            )
        if pair is not None:
            old, new = pair
            if film is not None and (fresh := replace_words(script, old, new)) is not None:
                again = CallRecord(film.intent, {**film.arguments, "script": fresh})
                if quotations(text):
                    return Decision("calls", calls=(again,), about="correction")
                return instead(again)
            return self._scene_with_other_words(old, new)
        spoken = changes.without_quotations(text)
        if film is None or not script or len(spoken.split()) > MOST_CORRECTION_WORDS:
            return None
        if not changes.matches("corrects", text) or changes.look_of(text):
            return None
        if len(quoted) == 1:
            return instead(CallRecord(film.intent, {**film.arguments, "script": quoted[0].text}))
        fresh = correct_word(script, text)
        if fresh is None:
            return None
        return instead(CallRecord(film.intent, {**film.arguments, "script": fresh}))

    def _scene_with_other_words(self, old: str, new: str) -> Decision | None:
        found = [one for one in self.world.of_kind("scene") if replace_words(one.text, old, new) is not None]
        calls = tuple(
            CallRecord(
                "edit_project.change_scene",
                {
                    "project": one.parent,
                    "scene": str(one.number),
                    "script": replace_words(one.text, old, new),
                },
            )
            for one in found
        )
        if not calls:
            return None
        if len(calls) == 1:
            return Decision("calls", calls=calls, about="correction")
        return ask_about("confirm", calls, question="confirm_all")

    def _call_with_look(self, text: str, *, is_whole: bool = True) -> Decision | None:
        """Returns the last video or project with another look: “a bit slower”, “put subtitles under it”."""
        look = changes.look_of(text)
        if (
            not look
            or len(text.split()) > MOST_LOOK_WORDS
            or text_after_colon(text) is not None
            or quotations(text)
            or NEW_THING.search(text)
            or values.matches("condition", text)
            or values.matches("time", text)
        ):
            return None
        if changes.cannot_do(text) == CAPTION_LETTERS:
            return Decision("refuse", about=CAPTION_LETTERS)
        if changes.says_only_look(changes.without_place(text)) is not is_whole:
            return None
        film, last = self.dialogue.film or self._proposed("make_render"), self.dialogue.last
        if (values.asks(text) and not changes.matches("requests", text)) or changes.matches("to_see", text):
            return None
        if film is not None:
            return self._film_with(film, look, text, is_whole=is_whole)
        if last.get("project") and self.dialogue.recent_kind in ("project", "scene"):
            return None if changes.matches("films", text) else self._project_with(look, text)
        if is_whole and not self.dialogue.calls and self.dialogue.question is None:
            question = Question("missing", "make_render", dict(look), ("script", "project"))
            return Decision("ask", about="missing", question=question)
        return None

    def _film_with(
        self, film: CallRecord, look: Mapping[str, str], text: str, *, is_whole: bool
    ) -> Decision | None:
        if film.arguments.get("project") and SCENE_LOOK & set(look):
            return self._project_with(look, text)
        proposed = self._proposed(film.intent)
        film = proposed or film
        changed = {
            slot: changes.further(slot, value, film.arguments.get(slot, "normal"))
            for slot, value in look.items()
        }
        if all(film.arguments.get(slot) == value for slot, value in changed.items()):
            return Decision("chat", about="looks_so") if is_whole else None
        call = CallRecord(film.intent, {**film.arguments, **changed})
        if proposed is not None:
            return instead(call)
        if is_whole:
            both = values.matches("also", changes.without_look(text))
            return Decision("calls", calls=(call,), about="also" if both else "look")
        place = changes.place_in_list(text)
        if place is not None and place > 0 and len(self.world.of_kind("render")) > 1:
            # Another one than the last is meant, and its words are not known here.
            return None
        names = [one for one in self._named(text) if one.name != film.arguments.get("persona")]
        return None if names else instead(call)

    def _project_with(self, look: Mapping[str, str], text: str) -> Decision | None:
        project = self.dialogue.last.get("project")
        # Captions “at the top” are in no first scene.
        place = values.scene_number(text) or changes.place_in_list(changes.without_look(text))
        if place is not None and set(look) <= SCENE_LOOK:
            scene = values.place_argument(place)
            call = CallRecord("edit_project.change_scene", {"project": project, **look, "scene": scene})
            return Decision("calls", calls=(call,), about="look")
        if not changes.says_only_look(text) or place is not None:
            return None
        if self.dialogue.recent_kind == "scene" and set(look) <= SCENE_LOOK:
            arguments = {"project": project, **look, "scene": self.dialogue.last.get("scene", "last")}
            return instead(CallRecord("edit_project.change_scene", arguments))
        call = CallRecord("edit_project.change", {"project": project, **look})
        return instead(call) if SCENE_LOOK & set(look) else Decision("calls", calls=(call,), about="look")

    def _what_instead(self, text: str) -> Decision | None:
        """Returns the question what shall take the place of something that is disliked."""
        if not changes.matches("complains", text):
            return None
        film = self.dialogue.film
        if film is not None and changes.matches("background_words", text) and not changes.look_of(text):
            arguments = {name: value for name, value in film.arguments.items() if name != "background"}
            question = Question(INSTEAD, film.intent, arguments, ("background",))
            return Decision("ask", about="missing", question=question)
        if self.dialogue.calls and self.dialogue.question is None:
            return Decision("ask", about="correction")
        return None


def _order_with_look(text: str) -> tuple[str, Mapping[str, str]]:
    """Returns an order and the look behind it: “render it” and 720p of “render it in 720p”; the text itself
    and no look where no part of it says only that.
    """
    words = text.split()
    for place in range(2, len(words)):
        rest = " ".join(words[place:])
        if changes.matches("films_it", " ".join(words[:place])) and changes.says_only_look(rest):
            return " ".join(words[:place]), changes.look_of(rest)
    return text, {}


def _also_is(text: str) -> str | None:
    """Returns what a statement goes on to tell: “and the treasurer is Mr Lindner”."""
    if values.asks(text) or changes.matches("orders", text) or changes.matches("requests", text):
        return None
    found = changes.change_words().patterns["also_is"].match(text)
    return None if found is None else next(one for one in found.groups() if one).strip(" .")


def _orders_end_of(title: str, text: str) -> bool:
    """Returns whether a text begins with the order to stop what has this title, and says no more in that
    clause.
    """
    before, found, after = text.lower().partition(title.lower())
    verb, _, rest = _ASKS_FOR.sub("", before).strip().partition(" ")
    is_order = bool(found) and values.is_whole("stops", verb) and _BEFORE_TITLE.fullmatch(rest) is not None
    return is_order and _ENDS_CLAUSE.match(after) is not None
