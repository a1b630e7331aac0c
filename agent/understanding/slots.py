"""Turns tagged words into typed arguments, by what each argument is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args

from agent.tools.machines.text import MachineState
from agent.understanding import calculations, changes, moments, values
from agent.understanding.corpus import NEW_NAMES, SLOT_KINDS
from agent.understanding.sentence import Sentence
from agent.understanding.when import clock_time
from agent.understanding.world import SURE_NAME, Mention, Thing, World, fold, kind_of_live

KINDS_OF_INTENT: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "trash.restore_video": {"render": ("trashed_render",)},
    "trash.restore_project": {"project": ("trashed_project",)},
    "cancel_render.delete": {"render": ("render", "trashed_render")},
    "edit_project.delete": {"project": ("project", "trashed_project")},
}
"""Of intents that name other things by an argument than the others do; what is in the trash comes last."""
FIXED = frozenset({"quality", "shape", "captions", "privacy", "background", "stream", "pace"})
NUMBERS = frozenset({"limit", "count", "scenes", "lines", "version", "time_limit_s"})
FLAGS = frozenset(
    {"check", "forever", "from_memory", "everything", "keep_secret", "replace", "again", "ask_model"}
)
PLAIN = ("quality", "shape", "captions", "privacy")
COUNTED = ("lines", "scenes", "limit")
"""Arguments that are also found in words that were tagged as nothing."""
MOMENTS = frozenset({"publish_at", "granted_at"})
FREE_TEXTS = frozenset({
    "script", "topic", "title", "text", "code", "command", "about", "description", "name", "question",
    "heading",
})  # fmt: skip
TEXTS = FREE_TEXTS | {"purpose", "person", "variables", "photo", "image", "role", "group"}
MACHINE_STATES: frozenset[str] = frozenset(get_args(MachineState))

_MAIN_TEXT: Mapping[str, Sequence[str]] = {
    "make_render": ("script",),
    "edit_project.add_scene": ("script",),
    "edit_project.create": ("title",),
    "edit_project.rename": ("title",),
    "memory.remember": ("text",),
    "code_runner": ("code",),
    "ssh": ("command",),
    "write_script.draft": ("text",),
    "write_script.film": ("text",),
    "snapshots.save": ("name",),
}
"""The argument that a single quotation is, by intent."""

DENIAL_CHARS = 24
_ENDS = " \t\n.,;:!?"
_LEADING = re.compile(
    r"^(?:that|dass|daß|titled|called|named|namens|about|über|zum thema|to)\s+", re.IGNORECASE
)
_NUMBERED = re.compile(
    r"^(?:scene|szene|number|nummer|no\.?|nr\.?|page|part|slide|shot|bit)\s*#?\s*(\S+)$", re.IGNORECASE
)


def kinds_named(intent: str, slot: str) -> tuple[str, ...]:
    """Returns the kinds of things that an argument of an intent may name; none for a free text."""
    kind = SLOT_KINDS.get(slot)
    return KINDS_OF_INTENT.get(intent, {}).get(slot) or (() if kind is None else (kind,))


@dataclass(slots=True)
class Focus:
    """Says what “it” may mean, by kind: the last thing of the conversation, and lists that were shown.

    `recent`: the kind that was spoken of last.
    """

    last: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, Sequence[str]] = field(default_factory=dict)
    recent: str = ""


@dataclass(slots=True)
class Filled:
    """Arguments of a call, with names that match nothing that exists, by argument."""

    arguments: dict[str, Any] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    ambiguous: dict[str, tuple[Thing, ...]] = field(default_factory=dict)
    rest: str = ""
    unread: set[str] = field(default_factory=set)
    """Arguments that were tagged, in words that name no value of theirs."""
    loose: set[str] = field(default_factory=set)
    """Free texts that are neither quoted nor after a colon: where they end is a guess."""
    gaps: Sequence[float] = ()
    """By how much each token's tag is better than the next one."""


@dataclass(frozen=True)
class SlotFiller:
    """Fills the arguments of one sentence. `lexicon`: values that the corpus names by words, by argument."""

    sentence: Sentence
    world: World
    focus: Focus
    now: datetime
    lexicon: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def fill(self, intent: str, spans: Sequence[tuple[str, int, int]], slot_names: Sequence[str]) -> Filled:
        """Returns the arguments of `intent` from tagged spans; `wanted` names all that it may have."""
        spans = _joined(self._with_literal(intent, spans, slot_names))
        filled = Filled()
        for slot, start, end in spans:
            if slot in slot_names and (slot not in filled.arguments or slot == "machines"):
                self._fill_one(filled, intent, slot, start, end)
                if slot not in filled.arguments and slot not in filled.unknown:
                    filled.unread.add(slot)
                if slot in TEXTS and "<text>" not in {
                    token.text for token in self.sentence.tokens[start:end]
                }:
                    filled.loose.add(slot)
        for slot in slot_names:
            if slot not in filled.arguments and slot in SLOT_KINDS:
                self._fill_from_mentions(filled, intent, slot, spans)
                if slot in filled.arguments:
                    # What was tagged names nothing, and something else in the sentence does.
                    filled.unknown.pop(slot, None)
        self._fill_values(filled, slot_names, spans)
        if intent == "change_machine.accept":
            filled.arguments.setdefault("machine", "new")
        self._fill_files(filled, intent)
        if intent == "code_runner" and (code := calculations.calculation(self.sentence.text)) is not None:
            filled.arguments["code"] = code
            filled.loose.discard("code")
            filled.unread.discard("code")
        filled.rest = self._rest(spans)
        return filled

    def _fill_files(self, filled: Filled, intent: str) -> None:
        """Sets the document of an import where it was tagged as nothing, and the form of a transcript."""
        if intent == "import_document" and (document := values.document(self.sentence.text)):
            filled.arguments.setdefault("url", document)
        if intent == "transcribe":
            # Elsewhere `captions` says how captions are shown.
            filled.arguments.pop("captions", None)
            if form := values.caption_format(self.sentence.text):
                filled.arguments["captions"] = form

    def _with_literal(
        self, intent: str, spans: Sequence[tuple[str, int, int]], slot_names: Sequence[str]
    ) -> list[tuple[str, int, int]]:
        """Returns the spans, with the main text where it is quoted or follows a colon, and was not tagged."""
        slot = next((name for name in _MAIN_TEXT.get(intent, ()) if name in slot_names), None)
        places = [place for place, token in enumerate(self.sentence.tokens) if token.text == "<text>"]
        free = [place for place in places if not any(start <= place < end for _, start, end in spans)]
        if slot is None or len(free) != 1:
            return list(spans)
        return [*(span for span in spans if span[0] != slot), (slot, free[0], free[0] + 1)]

    def _rest(self, spans: Sequence[tuple[str, int, int]]) -> str:
        """Returns the words that are no argument and no quotation."""
        return " ".join(
            token.text
            for place, token in enumerate(self.sentence.tokens)
            if token.text != "<text>" and not any(start <= place < end for _, start, end in spans)
        )

    def _fill_one(self, filled: Filled, intent: str, slot: str, start: int, end: int) -> None:
        text = self.sentence.span_text(start, end)
        known = self.lexicon.get(slot, {}).get(" ".join(text.lower().split()))
        if slot in SLOT_KINDS and not _is_new_name(intent, slot):
            self._fill_entity(filled, intent, slot, start, end, known)
        elif (value := self._value(intent, slot, start, end, known)) is not None:
            filled.arguments[slot] = value

    def _value(self, intent: str, slot: str, start: int, end: int, known: str | None) -> Any:
        """Returns the value that tagged words name, None where they name none."""
        text = self.sentence.span_text(start, end)
        if slot in FLAGS:
            return known != "false"
        if slot in FIXED:
            return values.constant_value(slot, text) or known
        if slot in NUMBERS:
            following = self.sentence.text[self.sentence.tokens[end - 1].end :]
            is_time = slot in COUNTED and values.begins_with_unit(following)
            return None if is_time else values.number(known or text)
        if slot == "at_s":
            return values.seconds(known or text)
        if slot in MOMENTS:
            if slot == "granted_at":
                day = moments.past_day(self._around(start, end), self.now)
                return day and day.isoformat()
            at = moments.moment(self._around(start, end), self.now)
            return at and at.strftime("%Y-%m-%dT%H:%M")
        if slot == "to":
            return _place(values.ordinal(known or text))
        if slot == "variables":
            pairs = re.findall(r"([\w.-]+)\s*=\s*([^\s,;]+)", self.sentence.text)
            return {name: int(value) if value.isdigit() else value for name, value in pairs}
        if slot == "state":
            state = known or text.lower()
            return state if state in MACHINE_STATES else None
        if slot == "code" and intent.startswith("change_machine"):
            return values.console_code(text)
        return self._free_text(
            intent, slot, known or text.strip(_ENDS if slot != "script" else " \t\n").strip()
        )

    def _around(self, start: int, end: int) -> str:
        """Returns words with those that follow, up to a punctuation mark: a date is often tagged in part."""
        while (
            end < len(self.sentence.tokens)
            and self.sentence.tokens[end].text not in ",;!?<text>"
            and end - start < 12
        ):
            end += 1
        return self.sentence.span_text(start, end)

    def _free_text(self, intent: str, slot: str, text: str) -> str:
        if slot == "script":
            return text
        if slot == "about" and intent == "audit.story":
            newest = values.words().groups["newest"]
            lower_words = re.findall(r"\w+", text.lower())
            return "latest" if any(word in newest for word in lower_words) else text
        return (
            _LEADING.sub("", text).strip(" \"“”„'") if slot in ("title", "name", "topic", "about") else text
        )

    def _fill_entity(
        self, filled: Filled, intent: str, slot: str, start: int, end: int, known: str | None
    ) -> None:
        text = self.sentence.span_text(start, end)
        kinds = kinds_named(intent, slot)
        inside = [
            one
            for one in self.sentence.mentions
            if one.thing.kind in kinds and one.start < end and start < one.end
        ]
        if slot == "machines":
            self._fill_machines(filled, text, start, end, known)
            return
        if inside:
            self._choose(filled, slot, self._without_denied(inside))
            return
        if self.sentence.tokens[start].text == "<text>":
            named = [thing for thing in self.world.of_kind(*kinds) if fold(thing.name) == fold(text)]
            if named:
                filled.arguments[slot] = named[0]
                return
        if (
            known == "latest"
            and text.lower() in values.words().groups["pronouns"]
            and self.focus.last.get(kinds[0])
        ):
            # What was spoken of last, which need not be the newest.
            known = None
        value = self._described(slot, kinds, known or text)
        if value is not None:
            filled.arguments[slot] = value
        else:
            filled.unknown[slot] = text.strip(_ENDS)

    def _without_denied(self, mentions: Sequence[Mention]) -> Sequence[Mention]:
        """Returns mentions of what a text names instead of those that it denies: “not Nova, Vera”."""
        pattern = changes.change_words().patterns["denies_name"]

        def is_denied(one: Mention) -> bool:
            before = self.sentence.text[: self.sentence.tokens[one.start].start]
            return pattern.search(before[-DENIAL_CHARS:]) is not None

        if not all(map(is_denied, mentions)):
            return mentions
        kinds = {one.thing.kind for one in mentions}
        others = [one for one in self.sentence.mentions if one.thing.kind in kinds and not is_denied(one)]
        return [one for one in others if one.sureness >= SURE_NAME] or mentions

    def _choose(self, filled: Filled, slot: str, mentions: Sequence[Mention]) -> None:
        surest = max(one.sureness for one in mentions)
        best = list(dict.fromkeys(one.thing for one in mentions if one.sureness == surest))
        best = [one for one in best if not one.is_trashed] or best
        if (
            slot == "scene"
            and len(best) > 1
            and isinstance(project := filled.arguments.get("project"), Thing)
        ):
            best = [one for one in best if one.parent == project.name] or best
        filled.arguments[slot] = best[0]
        if len(best) > 1:
            filled.ambiguous[slot] = tuple(best)

    def _described(self, slot: str, kinds: Sequence[str], text: str) -> Thing | str | int | None:
        """Returns a thing that is described and not named: “the last one”, “the failed one”, “it”."""
        lower = " ".join(text.lower().strip(_ENDS).split())
        lower_words = list(re.findall(r"[\w']+", lower))
        table = values.words()
        if slot in ("scene", "before", "after"):
            numbered = _NUMBERED.match(lower)
            return _place(values.ordinal(numbered[1] if numbered else lower))
        if lower in ("latest", "new", "finished"):
            return lower
        if slot in ("machine", "node") and any(word in table.groups["new"] for word in lower_words):
            return "new"
        things = self.world.of_kind(*kinds)
        if slot in ("render", "video"):
            for group, states in (("failed", ("failed",)), ("running", ("rendering", "queued"))):
                if any(word in table.groups[group] for word in lower_words):
                    return next((thing for thing in things if thing.state in states), None)
            if any(word in table.groups["finished"] for word in lower_words):
                return "finished"
        place = next((table.ordinals[word] for word in lower_words if word in table.ordinals), None)
        shown = self.focus.shown.get(kinds[0], ())
        if place is not None and place > 0 and shown and place <= len(shown):
            return next((thing for thing in things if thing.name == shown[place - 1]), shown[place - 1])
        if any(word in table.groups["pronouns"] for word in lower_words) and (
            last := self.focus.last.get(kinds[0])
        ):
            return next((thing for thing in things if thing.name == last), last)
        if any(word in table.groups["newest"] or word in table.groups["pronouns"] for word in lower_words):
            return "latest" if kind_of_live(kinds[0]) in ("render", "project", "run") else None
        return None

    def _fill_machines(self, filled: Filled, text: str, start: int, end: int, known: str | None) -> None:
        lower_words = re.findall(r"[\w-]+", text.lower())
        table = values.words()
        named = [
            one.thing
            for one in self.sentence.mentions
            if one.thing.kind == "machine" and start <= one.start < end
        ]
        if known in ("all", "gpu"):
            filled.arguments["machines"] = known
        elif named:
            before = filled.arguments.get("machines")
            filled.arguments["machines"] = [*(before if isinstance(before, list) else ()), *named]
        elif any(word.startswith(("gpu", "graphics", "grafik")) for word in lower_words):
            filled.arguments["machines"] = "gpu"
        elif (pool := values.pool(text)) is not None:
            filled.arguments["machines"] = pool
        elif any(word in table.groups["all"] for word in lower_words):
            filled.arguments["machines"] = "all"
        elif any(one.thing.kind == "machine" and one.sureness > 0.9 for one in self.sentence.mentions):
            return
        elif any(word in table.groups["pronouns"] for word in lower_words) and (
            last := self.focus.last.get("machine")
        ):
            filled.arguments["machines"] = last
        elif re.fullmatch(r"[\w-]+", text):
            filled.arguments["machines"] = text

    def _fill_from_mentions(
        self, filled: Filled, intent: str, slot: str, spans: Sequence[tuple[str, int, int]]
    ) -> None:
        """Uses a name of the right kind that was tagged as nothing."""
        if intent == "snapshots.diff" and slot == "other":
            names = list(
                dict.fromkeys(one.thing for one in self.sentence.mentions if one.thing.kind == "snapshot")
            )
            if len(names) == 2:
                filled.arguments.update(name=names[0], other=names[1])
            return
        if _is_new_name(intent, slot) or slot in ("before", "after", "other", "account"):
            return
        taken = [(start, end) for _, start, end in spans]
        free = [
            one
            for one in self.sentence.mentions
            if one.thing.kind in kinds_named(intent, slot)
            and one.sureness >= 0.5
            and not any(start <= one.start < end for start, end in taken)
        ]
        if not free:
            return
        if slot == "machines":
            filled.arguments[slot] = [one.thing for one in free]
        else:
            self._choose(filled, slot, free)

    def _fill_values(
        self, filled: Filled, slot_names: Sequence[str], spans: Sequence[tuple[str, int, int]]
    ) -> None:
        """Finds sizes and formats that were tagged as nothing, in what is no free text."""
        free = " ".join(
            token.text
            for place, token in enumerate(self.sentence.tokens)
            if not any(start <= place < end for slot, start, end in spans if slot not in FIXED)
        )
        missing = {slot for slot in slot_names if slot not in filled.arguments}
        found: dict[str, Any] = {
            slot: values.plain_value(slot, changes.without_denied(slot, free))
            for slot in PLAIN
            if slot in missing
        }
        found |= {slot: values.count_of(slot, free) for slot in COUNTED if slot in missing}
        if "at_s" in missing:
            found["at_s"] = values.plain_seconds(free)
        if "code" in missing and "machine" in slot_names:
            found["code"] = values.console_code(self.sentence.text)
        if "scene" in slot_names and not {"scene", "after", "before"} & {*filled.arguments, *filled.unknown}:
            found["scene"] = _place(values.scene_number(free))
        filled.arguments |= {slot: value for slot, value in found.items() if value is not None}
        self._fill_words(filled, slot_names, free)

    def _fill_words(self, filled: Filled, slot_names: Sequence[str], free: str) -> None:
        """Finds looks, times, dry runs and “every machine” in words that are no free text."""
        missing = {slot for slot in slot_names if slot not in filled.arguments}
        look = changes.look_of(free) if missing & {"captions", "background"} else {}
        if not changes.matches("background_words", free):
            look.pop("background", None)
        for slot in missing & look.keys() & {"captions", "background"}:
            filled.arguments[slot] = look[slot]
        says_check = values.missing_cue(free, (), ("check",)) is not None or values.matches("unchanged", free)
        if "forever" in missing and values.matches("for_good", free):
            filled.arguments["forever"] = True
        if "heading" in missing and changes.matches("no_heading", free):
            filled.arguments["heading"] = ""
        if "again" in missing and values.says("again", free):
            filled.arguments["again"] = True
        if "check" in missing and says_check and not changes.matches("denies_check", free):
            filled.arguments["check"] = True
        if "machines" in missing - filled.unknown.keys() and changes.matches("every_machine", free):
            filled.arguments["machines"] = "all"
        half = "publish_at" in slot_names and str(filled.arguments.get("publish_at", "T00:00"))
        if half and half.endswith("T00:00") and (at := clock_time(self.sentence.text, self.now)) is not None:
            filled.arguments["publish_at"] = at.strftime("%Y-%m-%dT%H:%M")


def _place(number: int | None) -> str | int | None:
    """Returns a place in a list as arguments name it."""
    return "last" if number is not None and number < 0 else number


def _joined(spans: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Returns the spans with those of one free text that follow each other as one."""
    result: list[tuple[str, int, int]] = []
    for slot, start, end in spans:
        if result and slot in TEXTS - {"name"} and (result[-1][0], result[-1][2]) == (slot, start):
            start = result.pop()[1]
        result.append((slot, start, end))
    return result


def _is_new_name(intent: str, slot: str) -> bool:
    return slot == "name" and intent in NEW_NAMES
