"""Understands another version of a video: “make Tides with Milo”, “call it Tides”, “a deeper voice”."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.understanding import changes, values
from agent.understanding.candidates import plain
from agent.understanding.changes import LOOK, text_after_colon
from agent.understanding.decision import SURE_OTHER, Decision, ask_about
from agent.understanding.dialogue import INSTEAD, CallRecord, Question
from agent.understanding.tokens import tokenize
from agent.understanding.turn import Turn
from agent.understanding.world import IN_WORK, Thing

MOST_LOOK_WORDS, LEAST_WORDS = 16, 3
NEW_THING = re.compile(
    r"\b(?:an?|another|new|ein(?:e|en|es)?|neue[sn]?)\s+(?:\w+\s+){0,2}(?:video|clip|film|movie|project|projekt)\b",
    re.IGNORECASE,
)
_FILM = "(?:video|clip|film|movie)"
_RENDERS = re.compile(r"(?<!\w)(?:re-?)?render(?:e|n|st)?(?!\w)", re.IGNORECASE)


@dataclass(frozen=True)
class Versions(Turn):
    """Reads an utterance as another version of a video that was made or shown."""

    def _call_for_each(self, text: str) -> Decision | None:
        """Returns the last video once for each of several presenters: “one with Nova and one with Vera”."""
        film = self.dialogue.film
        if (
            film is None
            or film.arguments.get("project")
            or len(text.split()) > MOST_LOOK_WORDS
            or ":" in text
        ):
            return None
        names = list(dict.fromkeys(one.name for one in self._named(text) if one.kind == "persona"))
        is_each = changes.matches("each", text) or values.says("again", text)
        if len(names) < 2 or not is_each or values.matches("negation", text):
            return None
        calls = tuple(CallRecord(film.intent, {**film.arguments, "persona": name}) for name in names)
        return ask_about("confirm", calls, question="confirm_all")

    def _other_version(self, text: str) -> Decision | None:
        """Returns the question whether a video that is named shall be made once more, with another speaker or
        look: “another version of Tides with Milo”, “make Tides upright”.
        """
        if text_after_colon(text) is not None:
            return None
        named = [one for one in self._named(text) if one.kind in ("render", "project")]
        is_all = self._says_only_look_of(named, text)
        if not is_all and not changes.matches("other_version", text):
            return None
        if is_all:
            # Of several versions, any that is done has the same words.
            named = [one for one in named if one.state not in IN_WORK][:1]
        if not named and self.dialogue.film is None and self.dialogue.recent_kind == "render":
            # “Try again, but with Nova”, after a video was shown.
            spoken_of = self.dialogue.last.get("render")
            named = [one for one in self.world.of_kind("render") if spoken_of in (one.id, one.name)]
        if not named and self.dialogue.film is None and changes.matches("last_video", text):
            named = self.world.of_kind("render")[:1]
        if [one.kind for one in named] != ["render"] or values.matches("negation", text):
            return None
        filled = self.fill_as("make_render", text)
        other = {name: value for name, value in plain(filled.arguments).items() if name in ("persona", *LOOK)}
        if not other:
            return None
        call = CallRecord("make_render", {"video": named[0].id or named[0].name, **other})
        return Decision("calls", calls=(call,), about="version") if is_all else ask_about("confirm", [call])

    def _by_other_speaker(self, text: str) -> Decision | None:
        """Returns the last video by another presenter: “let Mei say it”."""
        film, name = self.dialogue.film, self._only_speaker(text)
        if film is None or name is None or film.arguments.get("project") or len(text.split()) < LEAST_WORDS:
            return None
        if film.arguments.get("persona") == name or self.dialogue.question is not None:
            return None
        again = CallRecord(film.intent, {**film.arguments, "persona": name})
        return Decision("calls", calls=(again,), about="correction")

    def _says_only_look_of(self, named: Sequence[Thing], text: str) -> bool:
        """Returns whether a text orders a speaker or a look for the one thing that it names, and no more:
        “make Tides with Milo”.
        """
        is_one = len({(one.kind, one.name) for one in named}) == 1
        if not is_one or all(one.state in IN_WORK for one in named):
            return False
        if not (changes.matches("orders", text) or changes.matches("requests", text)):
            return False
        if NEW_THING.search(text):
            return False
        title = rf"[\"“„]?{re.escape(named[0].name)}[\"“”]?"
        pattern = rf"(?<!\w)(?:{_FILM} )?{title}(?: {_FILM})?(?!\w)"
        rest = re.sub(pattern, "it", text.rstrip(" .!"), count=1, flags=re.IGNORECASE)
        rest = _RENDERS.sub("make", rest)
        return changes.says_only_look(rest) or self._only_speaker(rest) is not None

    def _only_speaker(self, text: str) -> str | None:
        """Returns the presenter whom an answer names and says nothing else: “with Milo, please”."""
        named = {one.name for one in self._named(text) if one.kind == "persona"}
        if len(named) != 1:
            return None
        [name] = named
        rest = changes.without_look(re.sub(re.escape(name), " ", text, flags=re.IGNORECASE))
        only = changes.change_words().patterns["only_look"]
        is_only = all(map(only.fullmatch, values.WORD.findall(rest.lower())))
        return name if is_only and not text.rstrip().endswith(("!", ".")) else None

    def film_with_title(self, text: str) -> Decision | None:
        """Returns the last video with a title: “call it Tides”."""
        film, title = self.dialogue.film, values.new_name(text)
        if title is None and values.says_pronoun(text):
            title = changes.new_title(text)
        if title is None or ":" in title or self.dialogue.recent_kind != "render":
            return None
        title = changes.without_instead(title)
        if changes.matches("names_project", text):
            return None
        if film is None and (shown := self.dialogue.last.get("render")):
            return instead(CallRecord("make_render", {"video": shown, "title": title}))
        if film is None or film.arguments.get("project"):
            return None
        film = self._proposed(film.intent) or film
        return instead(CallRecord(film.intent, {**film.arguments, "title": title}))

    def _proposed(self, intent: str) -> CallRecord | None:
        """Returns the call of an intent that waits for a yes: what comes now changes that, too."""
        call = self._offered()
        return call if call is not None and call.intent == intent else None

    def _offered(self) -> CallRecord | None:
        """Returns the one call that waits for a yes."""
        question = self.dialogue.question
        is_one = question is not None and question.about == "confirm" and len(question.choices) == 1
        return question.choices[0] if is_one and question is not None else None

    def _named(self, text: str) -> list[Thing]:
        return [one.thing for one in self.world.mentions(tokenize(text)) if one.sureness >= SURE_OTHER]

    def _other_voice(self, text: str) -> Decision | None:
        """Returns the question which presenter with such a voice shall speak: “a deeper voice, please”."""
        voice = changes.voice_in(text)
        if voice is None:
            return None
        film, project = self.dialogue.film, self.dialogue.last.get("project", "")
        slots = ("persona",)
        question = Question("missing", "make_render", {}, slots)
        if film is not None and not film.arguments.get("project"):
            arguments = {name: value for name, value in film.arguments.items() if name != "persona"}
            question = Question(INSTEAD, film.intent, arguments, slots)
        elif project and (film is not None or self.dialogue.recent_kind in ("project", "scene")):
            question = Question("missing", "edit_project.change", {"project": project}, slots)
        return Decision("ask", about="voice", topic=voice, question=question)


def instead(call: CallRecord) -> Decision:
    """Returns the question whether a call shall be made in place of the last one."""
    return ask_about("confirm", [call], subject=INSTEAD)
