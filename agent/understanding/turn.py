"""Completes calls with what the conversation knows, or asks for what is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.understanding import changes, values
from agent.understanding.candidates import is_two_kinds, missing, own, plain
from agent.understanding.changes import text_after_colon
from agent.understanding.decision import Decision, ask_about
from agent.understanding.dialogue import FOCUS_SLOTS, CallRecord, Dialogue, Question
from agent.understanding.groups import state_in
from agent.understanding.intents import DESTRUCTIVE, READS, TEXTS_OF, reverse_of
from agent.understanding.reader import Candidate, Reader
from agent.understanding.references import OF_VIDEOS, is_bare
from agent.understanding.slots import Filled
from agent.understanding.tokens import tokenize
from agent.understanding.world import DRAINING, SURE_NAME, Thing, World, fold

_AMONG: Mapping[str, frozenset[str]] = {"project": frozenset({"project", "scene"})}
"""Kinds of things that were last spoken of, by the kind that “it” may be then."""

NAMES = frozenset({"title", "heading", "name"})
COURTEOUS = NAMES | {"topic", "about", "text", "description", "purpose", "person"}
"""Texts that do not end with thanks."""
OF_LISTS = frozenset({"render", "project", "machine", "machines", "node", "job"})
STEM_CHARS = 6
"""Of a word that is looked for in a script: “helmet” is found in “helmets”."""


@dataclass(frozen=True)
class Turn:
    """One utterance in its state."""

    reader: Reader
    world: World
    dialogue: Dialogue
    now: datetime
    is_alone: bool = True
    """Whether the utterance is one clause."""

    def read(self, text: str) -> list[Candidate]:
        """Returns what a clause may ask for, the most probable first."""
        return self.reader.read(text, self.world, self.dialogue.focus(), self.now)

    def fill_as(self, intent: str, text: str) -> Filled:
        """Returns the arguments of a clause whose intent is known."""
        return self.reader.fill_as(intent, text, self.world, self.dialogue.focus(), self.now)

    def speaker_in(self, text: str) -> Thing | None:
        """Returns the one presenter whom a text names; None where it names none or several."""
        named = [one.thing for one in self.world.mentions(tokenize(text)) if one.thing.kind == "persona"]
        return named[0] if len({one.name for one in named}) == 1 else None

    def call_or_ask(self, candidate: Candidate, text: str) -> Decision:
        arguments = plain(candidate.arguments)
        about = str(arguments.get("about", ""))
        if candidate.intent == "memory.recall" and changes.matches("about_me", about or text.split()[-1]):
            arguments.pop("about", None)
        elif candidate.intent == "memory.recall" and "about" not in arguments and len(text.split()) > 2:
            # The search ranks by meaning, and takes questions.
            arguments["about"] = text.strip()
        tool, _, action = candidate.intent.partition(".")
        known = self.world.of_kind("project") or self.dialogue.last.get("project")
        if tool == "edit_project" and action != "create" and not known:
            return Decision("refuse", about="no_project", candidates=(candidate,))
        after = text_after_colon(text)
        needs_text = candidate.intent in TEXTS_OF and "script" not in arguments
        if candidate.intent == "make_render" and "project" in arguments:
            # A project has its own words.
            needs_text = False
        if needs_text and after is not None:
            texts = {name for name, value in arguments.items() if name in NAMES and str(value) in after}
            if not any(str(value) in after for name, value in arguments.items() if name not in texts):
                arguments = {name: value for name, value in arguments.items() if name not in texts}
                arguments["script"] = after
        unknown = dict(candidate.unknown)
        if "scene" in unknown and (scene := self._scene_with_words(candidate, arguments)) is not None:
            arguments |= scene
            del unknown["scene"]
        if candidate.intent == "make_render" and _is_audience(unknown.get("project", ""), text):
            del unknown["project"]
        for slot in [one for one in unknown if one in OF_LISTS and values.ordinal(unknown[one]) is not None]:
            # “Delete the third one”, of a list that nobody has seen.
            del unknown[slot]
        if not unknown and (name := self._unread_title(candidate.intent, arguments, text)) is not None:
            # “Das Gezeitenvideo” has its title in front of the noun.
            film = self.world.film_of_compound(name)
            (unknown if film is None else arguments)["render"] = name if film is None else film.name
        if unknown:
            slot = next(iter(unknown))
            question = Question("unknown", candidate.intent, arguments, (slot,))
            return Decision(
                "ask", about="unknown", candidates=(candidate,), question=question, unknown=unknown
            )
        if candidate.intent in ("cancel_render.delete", "edit_project.delete") and is_two_kinds(
            candidate, self.world, text
        ):
            name = str(arguments.get("render") or arguments.get("project"))
            choices = (
                CallRecord("edit_project.delete", {"project": name}),
                CallRecord("cancel_render.delete", {"render": name}),
            )
            return ask_about("which", choices, (candidate,))
        if (candidate.intent in DESTRUCTIVE or tool == "edit_project") and is_bare(text):
            # “Delete it”, of which nothing was spoken, is about no newest thing.
            for slot in [one for one in ("render", "project") if arguments.get(one) == "latest"]:
                if not self.dialogue.last.get(slot):
                    del arguments[slot]
        title = values.new_name(text) or changes.new_title(text)
        if candidate.intent == "edit_project.rename" and title is not None:
            arguments["title"] = title
            if fold(str(arguments.get("project", ""))) in fold(title):
                arguments.pop("project", None)
        if candidate.intent == "change_machine.undrain" and (drained := self._only_drained(text)) is not None:
            arguments["machine"] = drained
        if candidate.intent == "edit_project.add_scene" and not arguments.keys() & {"to", "before", "after"}:
            order = changes.without_quotations(text)
            if changes.matches("in_middle", order):
                project = str(arguments.get("project") or self.dialogue.last.get("project", ""))
                arguments["after"] = str(len(self.world.scenes_of(project)) // 2 or 1)
        if (renamed := self._video_with_title(candidate, arguments, text)) is not None:
            return renamed
        for group in missing(candidate.intent, arguments):
            if group == ("scene",) and (
                scene := self._scene_with_words(candidate, arguments)
                or self._only_scene(candidate, arguments)
            ):
                arguments |= scene
                continue
            listed = self.from_list(group, text)
            name, last = self._from_conversation(group)
            if listed is not None:
                name, last = listed
            if listed is None and name in OF_LISTS and changes.place_of_thing(text) is not None:
                # Of a list that nobody has seen: another one than the last is meant.
                last = None
            may_end = listed is not None or candidate.intent not in DESTRUCTIVE
            if last is None or not (may_end or self.dialogue.recent_kind == name):
                question = Question("missing", candidate.intent, arguments, tuple(group))
                return Decision("ask", about="missing", candidates=(candidate,), question=question)
            arguments[name] = last
        self._from_focus(candidate, arguments, text)
        if (left_out := self._slot_of_place(candidate.intent, arguments, text)) is not None:
            question = Question("missing", candidate.intent, arguments, (left_out,))
            return Decision("ask", about="missing", candidates=(candidate,), question=question)
        for name in COURTEOUS & {*candidate.loose} & arguments.keys():
            arguments[name] = changes.without_courtesy(str(arguments[name]))
        if arguments.get("publish_at") and arguments.get("privacy") == "public":
            # It becomes public at that time, and no earlier.
            del arguments["privacy"]
        if candidate.intent == "list_renders" and (state := state_in(text)) is not None:
            arguments["state"] = state
        if candidate.intent == "list_renders" and (name := self._presenter_of_list(text)) is not None:
            arguments["persona"] = name
        call = CallRecord(candidate.intent, arguments)
        script = str(arguments.get("script") or "")
        if "script" in candidate.loose and (shorter := changes.without_courtesy(script)) != script:
            # Thanks may be spoken, too.
            choices = (CallRecord(candidate.intent, {**arguments, "script": shorter}), call)
            return ask_about("unsure", choices, (candidate,))
        is_listed = self.from_list([*arguments], text) is not None
        if is_listed and candidate.intent not in READS and not candidate.arguments.keys() & OF_LISTS:
            # What it is about was shown, and not named.
            return ask_about("confirm", [call], (candidate,))
        return Decision("calls", calls=(call,), candidates=(candidate,))

    def _presenter_of_list(self, text: str) -> str | None:
        """Returns the one presenter whose videos shall be listed: “the ones with Milo”."""
        named = [one.thing for one in self.world.mentions(tokenize(text)) if one.sureness >= SURE_NAME]
        names = {one.name for one in named if one.kind == "persona"}
        return names.pop() if len(names) == 1 and not values.matches("negation", text) else None

    def _scene_with_words(self, candidate: Candidate, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """Returns the one scene that has words of the utterance: “move the helmet one to the end”."""
        spoken = own(candidate, candidate.text).lower()
        words = [word for word in re.findall(r"[^\W\d_]{4,}", spoken) if word not in self.world.common_words]
        words += re.findall(r"[^\W\d_]{3,}", candidate.unknown.get("scene", "").lower())
        found = [
            one
            for one in self.world.of_kind("scene")
            if one.text and any(word[:STEM_CHARS] in one.text.lower() for word in words)
        ]
        return self._as_arguments(found, arguments)

    def _only_scene(self, candidate: Candidate, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """Returns the only scene, which needs no name unless something is deleted."""
        if candidate.intent in DESTRUCTIVE:
            return None
        found = [one for one in self.world.of_kind("scene") if one.text and one.parent]
        return self._as_arguments(found, arguments)

    def _as_arguments(self, scenes: Sequence[Thing], arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        if len(scenes) != 1:
            return None
        project = str(arguments.get("project") or self.dialogue.last.get("project") or "")
        return {"scene": str(scenes[0].number), "project": project or scenes[0].parent}

    def _video_with_title(
        self, candidate: Candidate, arguments: Mapping[str, Any], text: str
    ) -> Decision | None:
        """Returns the question about the video that was spoken of last, where a rename names no project. A
        video has no other name than the one it is made with.
        """
        shown = self.dialogue.last.get("render")
        if candidate.intent != "edit_project.rename" or "project" in arguments or not shown:
            return None
        if self.dialogue.recent_kind != "render" or changes.matches("names_project", text):
            return None
        call = CallRecord("make_render", {"video": shown, **arguments})
        if "title" in arguments:
            return ask_about("confirm", [call], (candidate,))
        question = Question("missing", call.intent, dict(call.arguments), ("title",))
        return Decision("ask", about="missing", candidates=(candidate,), question=question)

    def _unread_title(self, intent: str, arguments: Mapping[str, Any], text: str) -> str | None:
        """Returns the word behind “the video” that is no title here, where nothing was read as one: “show the
        video Tides”.
        """
        tool = intent.partition(".")[0]
        slots = self.reader.slots.get(intent, ())
        if tool not in {"show_render", *OF_VIDEOS} or "render" not in slots or "render" in arguments:
            return None
        found = changes.change_words().patterns["unread_title"].search(changes.without_quotations(text))
        name = next((one for one in found.groups() if one), "") if found is not None else ""
        is_new = name and name.lower() not in self.reader.common_words
        return name if is_new else None

    def _slot_of_place(self, intent: str, arguments: Mapping[str, Any], text: str) -> str | None:
        """Returns the argument for which a text names a place in a list that nobody has seen."""
        tool = intent.partition(".")[0]
        slot = "render" if tool in {"show_render", "queue", *OF_VIDEOS} else ""
        is_left_out = slot in self.reader.slots.get(intent, ()) and slot not in arguments
        return slot if is_left_out and changes.place_of_thing(text) is not None else None

    def from_list(self, group: Sequence[str], text: str) -> tuple[str, str] | None:
        """Returns the argument of a group that a place in the last list is, and its value: “drain the second
        one”.
        """
        place = changes.place_of_thing(text)
        for name in group:
            names = self.dialogue.shown.get(FOCUS_SLOTS.get(name, ""), ())
            if place is not None and 0 < place <= len(names):
                return name, names[place - 1]
        return None

    def _from_conversation(self, group: Sequence[str]) -> tuple[str, str | None]:
        """Returns the argument of a group that the conversation can fill, and its value."""
        for name in group:
            kind = FOCUS_SLOTS.get(name)
            if (
                kind is not None
                and self.dialogue.last.get(kind)
                and (len(group) == 1 or self.dialogue.recent_kind in _AMONG.get(kind, {kind}))
            ):
                return name, self.dialogue.last[kind]
        return group[0], None

    def _only_drained(self, text: str) -> str | None:
        """Returns the one machine that takes no work, where a text names none: “undo the drain”."""
        if self.dialogue.recent_kind == "machine" and values.says_pronoun(text):
            return None
        found = [one.name for one in self.world.of_kind("machine") if one.state == DRAINING]
        named = any(one.thing.kind == "machine" for one in self.world.mentions(tokenize(text)))
        return found[0] if len(found) == 1 and not named else None

    def _from_focus(self, candidate: Candidate, arguments: dict[str, Any], text: str) -> None:
        """Fills what is optional from the conversation: the video, project, machine or presenter last spoken
        of.
        """
        intent, slots = candidate.intent, self.reader.slots.get(candidate.intent, ())
        tool = intent.partition(".")[0]
        is_machine = not arguments and self.dialogue.recent_kind == "machine" and values.says_pronoun(text)
        refers = {
            "persona": "persona" in slots and values.says("person_pronouns", candidate.rest),
            "render": tool in {"show_render", *OF_VIDEOS},
            "project": (tool == "edit_project" and intent != "edit_project.create")
            or ("project" in slots and changes.matches("same_project", candidate.rest)),
            "run": tool == "cancel_run",
            "machine": tool == "list_machines" and is_machine,
            "node": tool == "cluster_status" and is_machine,
        }
        place = changes.place_of_thing(text)
        for slot, is_meant in refers.items():
            if slot in arguments or slot not in slots:
                continue
            is_placed = slot in OF_LISTS - {"project"} and place is not None
            if is_placed and is_meant and (listed := self.from_list((slot,), text)) is not None:
                arguments[slot] = listed[1]
            elif is_meant and not is_placed and (last := self.dialogue.last.get(FOCUS_SLOTS[slot])):
                arguments[slot] = last

    def take_back(self, *candidates: Candidate) -> Decision:
        """Returns the calls that take those of the last answer back, the last one first."""
        reversed_calls = [reverse for call in reversed(self.dialogue.calls) for reverse in reverse_of(call)]
        if not reversed_calls:
            return Decision("ask", about="undo")
        return Decision("calls", calls=tuple(reversed_calls), about="undo", candidates=candidates)

    def confirm(self, candidate: Candidate, text: str) -> Decision:
        """Returns the call as a question, where it is complete."""
        decision = self.call_or_ask(candidate, text)
        return decision if decision.kind != "calls" else ask_about("confirm", decision.calls, (candidate,))


def _is_audience(name: str, text: str) -> bool:
    """Returns whether a name is that of those for whom a video is: “for class 5b”."""
    leads = changes.change_words().patterns["for_audience"].pattern
    return (
        bool(name) and re.search(rf"{leads}[^,.:]{{0,30}}{re.escape(name)}", text, re.IGNORECASE) is not None
    )
