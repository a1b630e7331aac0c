"""Finds what an utterance says of the ones before: a new look, other words, a complaint, taking back.

The words come from `changes/*.yaml`. All languages are tried: people mix them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from agent.sentences import read_folder
from agent.understanding import values

WHOLE = frozenset({
    "about_me", "also_is", "also_that", "another_thing", "asks_approver", "asks_backup", "asks_disk",
    "asks_empty", "asks_formats", "asks_job_files", "asks_made", "asks_memories", "asks_playbooks",
    "asks_scenes", "asks_who", "between", "calculates", "cancels_plans", "changes_words", "channels",
    "complains", "copies_project", "copies_scene", "corrects", "downloads_it", "ends_both", "films_it",
    "fixes_it", "for_whom", "forgets_it", "help_on", "how_much_longer", "instead_of", "is_about",
    "its_presenter", "its_text", "jokes", "lets_see", "new_machine", "of_presenter", "other_name",
    "other_voice", "says_what", "sets_time", "speaks_language", "speaks_scene", "swaps", "takes_back",
    "to_end", "to_start", "voice_of", "what_did_you_do", "what_do_you_mean", "what_is_this",
    "which_language", "who_in_scene", "who_is", "who_spoke", "why_do_you_ask", "withdraws",
    "words_of_scene",
})  # fmt: skip
"""Patterns that an utterance matches from its beginning to its end; the others are found within it."""
UNBOUNDED = frozenset({
    "several_texts", "indirect", "how_to", "numbered", "greets", "ends_courteously", "ends_with_that",
    "opens", "denies_name", "leads_scene", "retitles", "named_scenes", "what_else", "by_role", "next_video",
    "ends_instead", "ends_indirect", "plans_text", "labels_text", "before_words", "behind_topic",
    "takes_name_back", "copy_title", "asks_about",
})  # fmt: skip
"""Patterns that say themselves where they begin and end; the others do at the ends of words."""
LEAST_STATEMENT_WORDS = 5
LEAST_TEXT_WORDS = 2
SHORT_WORDS = 9
"""More words before a colon are no lead to a text; a longer utterance is no correction by itself."""
PACES = ("slowest", "slow", "normal", "fast", "fastest")
LOOK = ("pace", "captions", "caption_size", "caption_place", "shape", "quality", "background")
_NAME_SENTENCE = re.compile(r":\s+([^.!?:\n\"“„«]{2,80})[.!?]+\s+(?=[^\W\d_])")
_IN_SCENE = re.compile(r"\s+in (?:the |der )?(?:(?:scene|szene) \w+|\w+ (?:scene|szene))\Z", re.IGNORECASE)
_INFINITIVE = re.compile(
    r"\b(um|ab|an|aus|auf|ein|zurück|hoch|hinzu|vor|weg|frei|fertig|durch|zusammen)zu(\w{4,}n)\b",
    re.IGNORECASE,
)
"""“Umzubenennen”, behind “wären Sie so freundlich”."""
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|«[^»]*»")


@dataclass(frozen=True, slots=True)
class ChangeWords:
    """The words of all languages: patterns by name, looks by argument and value, what is not possible,
    voices by their kind, and what people ask how to do that no one intent is.
    """

    patterns: Mapping[str, re.Pattern[str]]
    look: Mapping[str, Mapping[str, re.Pattern[str]]]
    cannot: Mapping[str, re.Pattern[str]]
    voices: Mapping[str, re.Pattern[str]]
    topics: Mapping[str, re.Pattern[str]]
    roles: Mapping[str, str]
    """The English role of a presenter by its word in another language."""


@cache
def change_words() -> ChangeWords:
    """Returns the words of every file."""
    patterns: dict[str, list[str]] = {}
    look: dict[str, dict[str, list[str]]] = {}
    cannot: dict[str, list[str]] = {}
    voices: dict[str, list[str]] = {}
    topics: dict[str, list[str]] = {}
    roles: dict[str, str] = {}
    for data in read_folder("understanding/changes").values():
        for slot, some in data.pop("look").items():
            for value, sources in some.items():
                look.setdefault(slot, {}).setdefault(value, []).extend(map(str, sources))
        roles |= {str(word).lower(): str(role).lower() for role, word in data.pop("roles", {}).items()}
        for named, into in (("cannot", cannot), ("voices", voices), ("topics", topics)):
            for name, sources in data.pop(named).items():
                into.setdefault(name, []).extend(map(str, sources))
        for name, sources in data.items():
            patterns.setdefault(name, []).extend(map(str, sources))
    return ChangeWords(
        {
            name: re.compile("|".join(some), re.IGNORECASE)
            if name in UNBOUNDED
            else _compiled(some, whole=name in WHOLE)
            for name, some in patterns.items()
        },
        {slot: {value: _compiled(some) for value, some in found.items()} for slot, found in look.items()},
        {name: _compiled(some) for name, some in cannot.items()},
        {name: _compiled(some) for name, some in voices.items()},
        {name: _compiled(some) for name, some in topics.items()},
        roles,
    )


def _compiled(sources: Sequence[str], *, whole: bool = False) -> re.Pattern[str]:
    joined = "|".join(sources)
    pattern = rf"\W*(?:{joined})\W*\Z" if whole else rf"(?<!\w)(?:{joined})(?!\w)"
    return re.compile(pattern, re.IGNORECASE)


def matches(name: str, text: str) -> bool:
    """Returns whether a text has, or for some patterns is, what a pattern of the files describes."""
    pattern = change_words().patterns[name]
    return (pattern.match(text) if name in WHOLE else pattern.search(text)) is not None


def is_kind(word: str) -> bool:
    """Returns whether a word is that for a kind of thing, such as “video”."""
    return change_words().patterns["names_kind"].fullmatch(word) is not None


def one_by_name(text: str) -> str | None:
    """Returns the word that tells one thing from others, in lower case: “the cinema one”."""
    found = change_words().patterns["one_by_name"].search(text)
    return None if found is None else next(word.lower() for word in found.groups() if word)


def second_order(text: str) -> tuple[int, int] | None:
    """Returns where “and show me …”, “und zeig …” begins in a text: its conjunction's begin and end."""
    found = None if _QUOTED.search(text) else change_words().patterns["second_order"].search(text)
    return None if found is None else (found.start(), found.end())


def text_after_colon(text: str) -> str | None:
    """Returns what follows a colon after a few words: “it should say: …”."""
    before, _, after = text.partition(": ")
    is_text = len(before.split()) <= SHORT_WORDS and len(after.split()) >= LEAST_TEXT_WORDS
    return after.strip() if is_text else None


def without_quotations(text: str) -> str:
    """Returns a text without what stands in quotation marks."""
    return _QUOTED.sub(" ", text)


def cannot_do(text: str) -> str | None:
    """Returns which known thing that nobody here can do a text speaks of, such as `translate`."""
    return next((name for name, some in change_words().cannot.items() if some.search(text)), None)


def look_of(text: str) -> dict[str, str]:
    """Returns the looks that a text names beyond doubt: `{"pace": "slow", "captions": "burned"}`."""
    spoken = without_quotations(text)
    found = {slot: value for slot, some in change_words().look.items() if (value := _look(some, spoken))}
    if found.keys() & {"caption_size", "caption_place"} and found.get("captions") == "burned":
        # Only those in the picture have a size and a place; they may be beside it, too.
        del found["captions"]
    if found.get("pace") in ("slow", "fast") and matches("much", spoken):
        found["pace"] = "slowest" if found["pace"] == "slow" else "fastest"
    for slot in ("shape", "quality"):
        if (plain := values.plain_value(slot, spoken)) is not None:
            found[slot] = plain
    if matches("background_words", spoken) and (colour := values.constant_value("background", spoken)):
        found["background"] = colour
    if not found and (colour := _only_colour(spoken)) is not None:
        found["background"] = colour
    return found


def topic_of(text: str) -> str | None:
    """Returns the topic of what somebody asks how to do, where no one intent is what they mean."""
    return _look(change_words().topics, text)


def voice_in(text: str) -> str | None:
    """Returns which kind of voice a text asks for, and for nothing else: “a deeper voice, please”."""
    return kind_of_voice(text) if matches("other_voice", text) else None


def kind_of_voice(text: str) -> str | None:
    """Returns which kind of voice words name: “a male voice”."""
    return _look(change_words().voices, text)


def without_denied(slot: str, text: str) -> str:
    """Returns a text without the values of an argument that it denies: “but not the whole world”."""
    lower = text.lower()
    phrases = [one for one in values.words().plain.get(slot, {}) if values.has_phrase(one, lower)]
    if not phrases:
        return text
    denies = change_words().patterns["denies"].pattern
    denied = rf"{denies}\W+(?:\w+\W+){{0,2}}?(?:{'|'.join(map(re.escape, phrases))})(?!\w)"
    return re.sub(denied, " ", text, flags=re.IGNORECASE)


def _only_colour(text: str) -> str | None:
    """Returns the colour of a few words that name nothing else: “ok then just blue”."""
    table = values.words().values["background"]
    lower = " ".join(text.lower().split())
    phrase = max((one for one in table if values.has_phrase(one, lower)), key=len, default=None)
    if phrase is None:
        return None
    carries = change_words().patterns["only_look"]
    return (
        table[phrase]
        if all(map(carries.fullmatch, values.WORD.findall(lower.replace(phrase, " "))))
        else None
    )


def _look(some: Mapping[str, re.Pattern[str]], text: str) -> str | None:
    """Returns the value with the longest match: “too fast” is slow."""
    best: tuple[int, str] | None = None
    for value, pattern in some.items():
        for match in pattern.finditer(text):
            if best is None or len(match[0]) > best[0]:
                best = (len(match[0]), value)
    return None if best is None else best[1]


def says_only_look(text: str) -> bool:
    """Returns whether a text names looks, and its other words mean nothing: “a bit slower, please”."""
    found = look_of(text)
    if not found:
        return False
    rest = without_look(text)
    for phrase in _phrases(found):
        rest = re.sub(rf"(?<!\w){re.escape(phrase)}(?!\w)", " ", rest, flags=re.IGNORECASE)
    pattern = change_words().patterns["only_look"]
    return all(pattern.fullmatch(word) or word[0].isdigit() for word in values.WORD.findall(rest))


def without_look(text: str) -> str:
    """Returns a text without its words for pace and captions, and for how much."""
    rest = without_quotations(text)
    for pattern in (one for some in change_words().look.values() for one in some.values()):
        rest = pattern.sub(" ", rest)
    return change_words().patterns["much"].sub(" ", rest)


def _phrases(found: Mapping[str, str]) -> list[str]:
    """Returns the words for the values that were found, the longest first."""
    table = values.words()
    phrases = [
        phrase
        for slot, value in found.items()
        for some in (table.values, table.plain)
        for phrase, meant in some.get(slot, {}).items()
        if meant == value
    ]
    return sorted(phrases, key=len, reverse=True)


def text_after_label(text: str) -> str | None:
    """Returns a text without “the text is” in front of it; None without such words."""
    found = change_words().patterns["labels_text"].match(text)
    return None if found is None else text[found.end() :].strip() or None


def also_that(text: str) -> str | None:
    """Returns what “also that …” goes on to tell."""
    found = change_words().patterns["also_that"].match(text)
    return None if found is None else next((one for one in found.groups() if one), "").strip(" .") or None


def how_to(text: str) -> str | None:
    """Returns what a question asks how to do: “publish a video” of “how do I publish a video?”."""
    found = change_words().patterns["how_to"].match(text)
    return None if found is None else " ".join(one for one in found.groups() if one).strip(" ?.!")


def place_in_list(text: str) -> int | None:
    """Returns the place that an ordinal in words names, -1 for the last: “the second one, slower”."""
    table = values.words().ordinals
    return next((table[word] for word in values.WORD.findall(text.lower()) if word in table), None)


def place_of_thing(text: str) -> int | None:
    """Returns the place that “the second one” names; none for “to the front” and for the last one."""
    table = values.words().ordinals
    found = change_words().patterns["place_of_thing"].finditer(text.lower())
    places = (table.get(next(filter(None, one.groups())), 0) for one in found)
    return next((place for place in places if place > 0), None)


def without_place(text: str) -> str:
    """Returns a text without “the second one” and “scene 2”."""
    pattern = change_words().patterns["place_of_thing"].pattern
    scene = values.words().patterns["scene_word"].pattern
    return re.sub(rf"{pattern}|{scene} \d+\b", " ", text, flags=re.IGNORECASE)


def is_indirect(text: str, script: str) -> bool:
    """Returns whether a script stands in indirect speech, whose words have another order than spoken ones."""
    place = text.find(script) if script.strip() else -1
    pattern, ends = change_words().patterns["indirect"], change_words().patterns["ends_indirect"]
    before, first = text[: max(place, 0)].rstrip(), script.strip().partition(" ")[0]
    found = pattern.search(before) or pattern.search(first) or ends.search(script)
    return place > 0 and found is not None


def is_statement(text: str) -> bool:
    """Returns whether a text is a whole sentence that neither asks nor orders anything here."""
    words = text.split()
    says = text.rstrip().endswith((".", "!")) and len(words) >= LEAST_STATEMENT_WORDS
    others = ("requests", "orders", "ours", "complains", "talks_to_agent")
    return says and not values.asks(text) and not any(matches(name, text) for name in others)


def further(slot: str, value: str, before: object) -> str:
    """Returns a value that goes on in the direction of a change: “slower” than slow is slowest."""
    if slot != "pace" or value == "normal" or before not in PACES:
        return value
    step = -1 if value.startswith("slow") else 1
    place = PACES.index(str(before)) + step
    return PACES[max(0, min(len(PACES) - 1, place))]


def replacement_in(text: str) -> tuple[str, str] | None:
    """Returns what words shall be replaced by which: “change "supervisor" to "shift leader"”."""
    table = change_words().patterns
    found = table["replaces"].search(text)
    if found is not None:
        old, new = (group for group in found.groups() if group)
        reverse = re.search(r"\b(?:instead of|in place of|rather than)\b", found[0])
        return (new, old) if reverse else (old, _IN_SCENE.sub("", new))
    found = table["instead_of"].match(table["before_words"].sub("", text))
    if found is not None:
        new, old = (group for group in found.groups() if group)
        return old, new
    return None


def new_title(text: str) -> str | None:
    """Returns the title that something shall get: “change the title to Our bakery”."""
    found = change_words().patterns["retitles"].search(text)
    return None if found is None else next(one for one in found.groups() if one).strip()


def texts_by_number(text: str) -> list[tuple[int, str]]:
    """Returns texts with their numbers: “scene 1: Good morning. scene 2: Goodbye.”."""
    found = list(change_words().patterns["numbered"].finditer(text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    numbered = []
    for match, end in zip(found, ends if found else (), strict=True):
        number = values.number(next(one for one in match.groups() if one))
        part = text[match.end() : end].strip(" ,;")
        if number and part:
            numbered.append((number, part))
    return numbered


def without_courtesy(text: str) -> str:
    """Returns a text without “please”, “thank you” and the like at its end, if it is more than that."""
    rest = change_words().patterns["ends_courteously"].sub("", text)
    last = rest.rpartition(" ")[2].lower()
    # “Goodbye and thanks” is spoken as a whole.
    return rest if rest.strip() and last not in values.words().groups["joiners"] else text


def without_instead(name: str) -> str:
    """Returns a name without the words behind it that say that it takes the place of another."""
    return change_words().patterns["ends_instead"].sub("", name) or name


def spares(text: str) -> bool:
    """Returns whether a text leaves out what it names: “all but bolt”, “everything except the last one”."""
    return matches("all_but", without_quotations(text))


def name_in_sentence(text: str) -> tuple[str, str] | None:
    """Returns a text up to the end of the name that follows a colon, and what comes after its sentence: “Call
    it: Harbour tour. And render it”. None where nothing does.
    """
    for match in _NAME_SENTENCE.finditer(text):
        if change_words().patterns["names_it"].search(text[: match.start()].rpartition(". ")[2]):
            return text[: match.end(1)], _without_joiner(text[match.end() :])
    return None


def _without_joiner(text: str) -> str:
    """Returns a sentence without “and then” and the like at its beginning."""
    joiners = "|".join(map(re.escape, sorted(values.words().groups["joiners"], key=len, reverse=True)))
    return re.sub(rf"^(?:(?:{joiners})\b[\s,]*)+", "", text, flags=re.IGNORECASE)


def without_greeting(text: str) -> str:
    """Returns what follows a greeting: “Good morning team, I want …”."""
    found = change_words().patterns["greets"].match(text)
    rest = "" if found is None else text[found.end() :].strip()
    return rest if len(rest.split()) > LEAST_TEXT_WORDS else text


def without_opening(text: str) -> str:
    """Returns an order without “um, …”, “when you have a minute, …” and the like in front of it."""
    found = change_words().patterns["opens"].match(text)
    rest = "" if found is None else text[found.end() :].strip()
    return _INFINITIVE.sub(r"\1\2", rest) if len(rest.split()) > 1 else text


def one_video_each(text: str) -> str | None:
    """Returns the words that ask for more than one video: “three short clips”."""
    found = change_words().patterns["one_video_each"].search(text)
    return None if found is None or values.number(found[0]) == 1 else found[0]


def parts_of_texts(script: str) -> list[str]:
    """Returns the texts that one text holds where it says so itself: “A. And another one: B.”."""
    found: list[str] = []
    start = 0
    for match in change_words().patterns["several_texts"].finditer(script):
        stop = match[0][0] if match[0][0] in ".!?" else ""
        found.append(script[start : match.start()].strip(" ,;") + stop)
        start = match.end()
    return [one.strip() for one in (*found, script[start:]) if one.strip()]
