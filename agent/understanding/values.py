"""Recognises values in words: numbers, ordinals, times, codes of machines, fixed values of arguments.

The words come from `languages/*.yaml`. All languages are tried: people mix them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from rapidfuzz import process
from rapidfuzz.distance import OSA

from agent.colours import COLOURS
from agent.sentences import read_folder

WORD = re.compile(r"[^\W_]+(?:['’.:][^\W_]+)*")
ARTICLES = ("a", "an", "one", "ein", "eine", "einen", "einem")
"""Words for the number one that mostly count nothing."""
_CAPTION_FORMAT = re.compile(r"(?<![\w.])(?:\*?\.)?(srt|subrip|(?:web)?vtt)\b", re.IGNORECASE)
_DOCUMENT = re.compile(
    r"https?://\S+|(?<!\S)[\w./~-]+\.(?:pdf|pptx?|docx?|odt|odp|md|html?|txt)\b", re.IGNORECASE
)
_HEX = re.compile(r"#[0-9A-Fa-f]{6}\b")
_SECONDS = re.compile(r"(?:(\d+):(\d{2}))|(\d+(?:[.,]\d+)?)")
_MOMENT = re.compile(
    r"\b\d{1,2}:\d{2}\b|\b\d+(?:[.,]\d+)?\s?(?:s|sec|seconds?|sekunden?)\b"
    r"|\b(?:very )?(?:last (?:picture|frame)|end)\b|\bam (?:ende|schluss)\b|\bletzte[ns]? bild\b"
)
_PIXELS = re.compile(r"(\d{3,4})\s?p?\b")
_SIZES = {360: "360p", 480: "480p", 720: "720p", 1080: "1080p", 1440: "1440p", 2160: "2160p"}


@dataclass(frozen=True, slots=True)
class Words:
    """The words of all languages, by what they mean."""

    numbers: Mapping[str, int]
    ordinals: Mapping[str, int]
    groups: Mapping[str, frozenset[str]]
    values: Mapping[str, Mapping[str, str]]
    plain: Mapping[str, Mapping[str, str]]
    cues: Mapping[str, frozenset[str]]
    labels: Mapping[str, tuple[str, ...]]
    """Arguments that a word before a colon may mean."""
    patterns: Mapping[str, re.Pattern[str]]
    weekdays: Mapping[str, int]
    months: Mapping[str, int]
    days: Mapping[str, int]
    clock: Mapping[str, str]
    units: Mapping[str, int]
    operators: Mapping[str, str]


@cache
def words() -> Words:
    """Returns the words of every language file."""
    tables: dict[str, dict[str, Any]] = {
        name: {}
        for name in ("numbers", "ordinals", "weekdays", "months", "days", "clock", "units", "operators")
    }
    groups: dict[str, set[str]] = {}
    values: dict[str, dict[str, str]] = {}
    plain: dict[str, dict[str, str]] = {}
    cues: dict[str, set[str]] = {}
    labels: dict[str, tuple[str, ...]] = {}
    patterns: dict[str, list[str]] = {}
    for data in read_folder("understanding/languages").values():
        for name, table in tables.items():
            table.update({str(word): value for word, value in data.get(name, {}).items()})
        for name, some in data.items():
            if isinstance(some, list):
                groups.setdefault(name, set()).update(map(str, some))
        for name, sources in data.get("patterns", {}).items():
            patterns.setdefault(name, []).extend(str(source) for source in sources)
        labels.update({str(label): tuple(slots) for label, slots in data.get("labels", {}).items()})
        for slot, some in data.get("cues", {}).items():
            cues.setdefault(slot, set()).update(some)
        for target, key in ((values, "values"), (plain, "plain")):
            for slot, meanings in data.get(key, {}).items():
                for meaning, some in meanings.items():
                    target.setdefault(slot, {}).update({str(word): str(meaning) for word in some})
    colours = values.setdefault("background", {})
    for name in COLOURS:
        colours.setdefault(name, name)
    return Words(
        groups={name: frozenset(group) for name, group in groups.items()},
        values=values,
        plain=plain,
        cues={slot: frozenset(some) for slot, some in cues.items()},
        labels=labels,
        patterns={
            name: re.compile(rf"\b(?:{'|'.join(some)})\b", re.IGNORECASE) for name, some in patterns.items()
        },
        **tables,
    )


def begins_with_unit(text: str) -> bool:
    """Returns whether a text begins with a unit of time: “10 second video” has no ten scenes."""
    word = WORD.search(text)
    is_next = word is not None and not text[: word.start()].strip(" -–")
    return word is not None and is_next and word[0].lower() in words().units


def number(text: str) -> int | None:
    """Returns the number that a text begins with or consists of: “12”, “two”, “fünf”, “twenty three”."""
    digits = re.search(r"\d+", text)
    if digits:
        return int(digits[0])
    table = words().numbers
    total = None
    for word in re.split(r"[\s-]+", text.lower()):
        if word in table and (word not in ("a", "an") or total is None):
            value = table[word]
            total = (
                value
                if total is None
                else total * value
                if value in (12, 100) and word not in ("twelve", "zwölf", "zwoelf")
                else total + value
            )
    if total is None:
        total = _german_number(text.lower())
    return total


def _german_number(text: str) -> int | None:
    match = re.search(r"\b(\w+?)und(\w+zig|\w+ßig|\w+ssig)\b", text)
    table = words().numbers
    return table[match[1]] + table[match[2]] if match and match[1] in table and match[2] in table else None


def ordinal(text: str) -> int | None:
    """Returns the place that a text names, -1 for the last: “2nd”, “the third one”, “letzte”, “scene 4”."""
    found = re.search(r"(\d+)(?:st|nd|rd|th|\.)?\b", text)
    if found:
        return int(found[1])
    table = words()
    for word in WORD.findall(text.lower()):
        if word in table.ordinals:
            return table.ordinals[word]
    for word in WORD.findall(text.lower()):
        if word in table.numbers and word not in ARTICLES:
            return table.numbers[word]
    return None


def constant_value(slot: str, text: str) -> str | None:
    """Returns the value of an argument with fixed values that a text names: “upright” is vertical."""
    lower = " ".join(text.lower().replace("-", " ").split())
    if slot == "quality":
        pixels = _PIXELS.search(lower)
        if pixels and int(pixels[1]) in _SIZES:
            return _SIZES[int(pixels[1])]
    if slot == "background" and (code := _HEX.search(text)):
        return code[0]
    table = words().values.get(slot, {})
    best: tuple[int, str] | None = None
    for phrase, value in table.items():
        if has_phrase(phrase, lower) and (best is None or len(phrase) > best[0]):
            best = (len(phrase), value)
    if best is not None:
        return best[1]
    for word in WORD.findall(lower):
        if len(word) > 4 and (
            close := process.extractOne(
                word, [one for one in table if len(one) > 4], scorer=OSA.distance, score_cutoff=1
            )
        ):
            return table[close[0]]
    return None


@cache
def _whole_words(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)")


def has_phrase(phrase: str, lower: str) -> bool:
    """Returns whether a text in lower case has a phrase of the language files as whole words."""
    return phrase in lower and _whole_words(phrase).search(lower) is not None


def matches(name: str, text: str) -> bool:
    """Returns whether a pattern of the language files is found in a text."""
    return words().patterns[name].search(text) is not None


def is_whole(name: str, text: str) -> bool:
    """Returns whether a text is nothing but what a pattern of the language files stands for."""
    return words().patterns[name].fullmatch(text) is not None


def says_pronoun(text: str) -> bool:
    return any(word in words().groups["pronouns"] for word in re.findall(r"\w+", text.lower()))


def says(group: str, text: str) -> bool:
    """Returns whether a text has a phrase of a group of the language files."""
    return any(has_phrase(phrase, text.lower()) for phrase in words().groups[group])


def missing_cue(text: str, filled: Collection[str], slot_names: Collection[str]) -> str | None:
    """Returns an argument that words of the text ask for, and that was not found."""
    spoken = " ".join(WORD.findall(text.lower()))
    for slot, phrases in words().cues.items():
        if (
            slot in slot_names
            and slot not in filled
            and any(f" {phrase} " in f" {spoken} " for phrase in phrases)
        ):
            return slot
    return None


def is_contradicted(slot: str, text: str, arguments: Mapping[str, object]) -> bool:
    """Returns whether a text, without its script, names another value of an argument than was found."""
    for value in arguments.values():
        if isinstance(value, str) and len(value) > 20:
            text = text.replace(value, " ")
    lower = " ".join(text.lower().split())
    named = {value for phrase, value in words().plain.get(slot, {}).items() if has_phrase(phrase, lower)}
    return len(named) > 1 or (len(named) == 1 and slot in arguments and named != {arguments[slot]})


def plain_value(slot: str, text: str) -> str | None:
    """Returns the value that words outside any argument name beyond doubt; none for “all” or “best”."""
    lower = " ".join(text.lower().split())
    if slot == "quality" and (pixels := re.search(r"\b(\d{3,4})p\b", lower)) and int(pixels[1]) in _SIZES:
        return _SIZES[int(pixels[1])]
    found = {value for phrase, value in words().plain.get(slot, {}).items() if has_phrase(phrase, lower)}
    return found.pop() if len(found) == 1 else None


def without_plain(slot: str, text: str) -> str:
    """Returns a text without words that name a value of an argument beyond doubt: “9:16” is no time."""
    for phrase in words().plain.get(slot, {}):
        text = re.sub(rf"(?<!\w){re.escape(phrase)}(?!\w)", " ", text, flags=re.IGNORECASE)
    return text


def new_name(text: str) -> str | None:
    """Returns the name that something shall have: “call it Night school”; None where a text says none so."""
    match = words().patterns["renames"].search(text)
    found = next((name.strip(" .!") for name in match.groups() if name), "") if match else ""
    # After “and” there may be a second wish, unless the name follows a colon; after a sentence there is one.
    goes_on = r"[.!?] " if re.search(rf":\s*{re.escape(found)}", text) else r" (?:and|und) |[.!?] "
    return None if not found or re.search(goes_on, found) else found


def new_words(text: str) -> str | None:
    """Returns what a video shall say in place of what it says: “it should say: Good evening”."""
    match = words().patterns["rewords"].search(text)
    # The pattern ends at the last letter; a full stop belongs to the words.
    return text[match.start(match.lastindex) :].strip(' \n"“”„«»') if match and match.lastindex else None


def words_beside_values(rest: str) -> list[str]:
    """Returns the words of a change that mean something beside its values: none of “make it … please”."""
    return [word for word in WORD.findall(rest.lower()) if not words().patterns["carries"].fullmatch(word)]


def text_after_lead(text: str) -> str | None:
    """Returns what follows “say”, “she should say that” and the like at the beginning of an answer."""
    match = re.match(words().patterns["leads_to_text"], text)
    return text[match.end() :].strip(' "“”„«»') if match else None


def count_of(slot: str, text: str) -> int | None:
    """Returns the number before a word of what an argument counts: “the last thirty lines”."""
    for match in words().patterns[f"counted_{slot}"].finditer(text.lower()):
        before = WORD.findall(text[: match.start()])[-2:]
        for word in reversed(before):
            value = number(word)
            if value is not None:
                return value
    return None


def scene_number(text: str) -> int | None:
    """Returns the place of “the third scene” or “scene two”; -1 for the last one."""
    for match in words().patterns["scene_word"].finditer(text.lower()):
        before, after = WORD.findall(text[: match.start()]), WORD.findall(text[match.end() :])
        for word in (*before[-1:], *(one for one in after[:2] if one.lower() not in ("number", "nummer"))):
            place = words().ordinals.get(word.lower()) or (number(word) if word in after[:2] else None)
            if place:
                return place
    return None


def place_argument(place: int) -> str:
    """Returns the place of a scene as tools take it: “last” for -1."""
    return "last" if place < 0 else str(place)


def plain_seconds(text: str) -> float | str | None:
    """Returns a moment of a video that words outside any argument name beyond doubt."""
    found = _MOMENT.search(text.lower())
    return None if found is None else seconds(found[0])


def caption_format(text: str) -> str | None:
    """Returns the form of a file of captions that a text names: srt or vtt; none for the name of a file."""
    found = _CAPTION_FORMAT.search(text)
    return None if found is None else "vtt" if found[1].lower().endswith("vtt") else "srt"


def document(text: str) -> str | None:
    """Returns the address or the file that a text names, if it is only one."""
    found = {one[0].rstrip(".,;!?") for one in _DOCUMENT.finditer(text)}
    return found.pop() if len(found) == 1 else None


def pool(text: str) -> str | None:
    """Returns the pool or tag that a text names: “everything in the studio pool”."""
    table = words()
    found: list[str] = re.findall(r"\w+", text.lower())
    for place, word in enumerate(found):
        for beside in (*found[max(0, place - 1) : place], *found[place + 1 : place + 2]):
            if word in table.groups["pools"] and not table.patterns["no_pool"].fullmatch(beside):
                return beside
    return None


def asks(text: str) -> bool:
    """Returns whether a text begins as a question does that asks for no change."""
    return words().patterns["questions"].match(text.strip()) is not None


def asks_ability(text: str) -> bool:
    """Returns whether a text begins as a question for what is possible does: “can you …”."""
    return words().patterns["ability"].match(text.strip()) is not None


def without_courtesy(text: str) -> str:
    """Returns a text without “if you would” and the like, which are no conditions."""
    return words().patterns["courtesy"].sub(" ", text)


def seconds(text: str) -> float | str | None:
    """Returns a moment of a video in seconds; “end” for its end."""
    if re.search(r"\b(?:end|ende|schluss|last (?:frame|picture)|letzte[ns]? bild)\b", text.lower()):
        return "end"
    found = _SECONDS.search(text)
    if found is None:
        value = number(text)
        return None if value is None else float(value) * (60 if re.search(r"\bminut", text.lower()) else 1)
    if found[1] is not None:
        return int(found[1]) * 60 + int(found[2])
    value_ = float(found[3].replace(",", "."))
    return value_ * 60 if re.search(r"\bminut|\bmin\b", text.lower()) else value_


_DIGIT_WORDS = {
    "zero": "0", "null": "0", "oh": "0", "one": "1", "eins": "1", "two": "2", "zwei": "2", "zwo": "2",
    "three": "3", "drei": "3", "four": "4", "vier": "4", "five": "5", "fünf": "5", "six": "6", "sechs":
    "6", "seven": "7", "sieben": "7", "eight": "8", "acht": "8", "nine": "9", "neun": "9"
}  # fmt: skip


def console_code(text: str) -> str | None:
    """Returns the code on a machine's console, also dictated: “four f nine zero dash b b one two …”."""
    found = re.search(r"\b[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}\b", text.lower())
    if found:
        return found[0]
    run = ""
    for word in re.findall(r"[^\W_]+|-", text.lower()):
        if word in _DIGIT_WORDS:
            run += _DIGIT_WORDS[word]
        elif re.fullmatch(r"[0-9a-f]{1,4}", word):
            run += word
        elif word not in ("dash", "minus", "-", "bindestrich", "strich", "hyphen"):
            if len(run) == 12:
                break
            run = ""
    return f"{run[:4]}-{run[4:8]}-{run[8:12]}" if len(run) == 12 else None
