"""Reads a group of things as a sentence for each: “scenes 1 and 2”, “the first two”, “all failed videos”."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from agent.understanding import values
from agent.understanding.dialogue import Dialogue
from agent.understanding.world import IN_WORK, World

MOST = 8
"""A larger group is not done by one sentence."""
BOTH = 2
MOST_AFTER = 2
"""Words behind “all videos”: more of them may say which."""
STATES = {"failed": ("failed",), "finished": ("done",), "running": IN_WORK, "cancelled": ("cancelled",)}
"""What the words of the language files say of videos."""
LISTED = {"failed": "failed", "finished": "done", "running": "active", "cancelled": "cancelled"}
_HAVE = re.compile(r"(?:have|has|['’]ve|had|did)(?: (?:i|we|you|they|it|already|so far))*\s+\Z")
"""In front of “done”, which is what somebody did then."""


@dataclass(frozen=True, slots=True)
class Group:
    """Holds the sentences for the things of a group, and their kind."""

    kind: str
    texts: tuple[str, ...]
    is_all: bool = False
    """Whether it is all there are, whatever they are called."""


def group_in(text: str, world: World, dialogue: Dialogue) -> Group | None:
    """Returns the group that a text is about; None where it is about one thing, or the group is not known."""
    lower = text.lower()
    if found := _numbered().search(lower):
        kind = _kinds().get(found["noun"] or "", "") or next(iter(dialogue.shown), "")
        things = _at_places(kind, _numbers(found["numbers"]), world, dialogue)
    elif found := _first().search(lower):
        kind = _kinds().get(found["noun"] or "", "") or next(iter(dialogue.shown), "")
        is_last = values.words().ordinals.get(found["place"], 0) < 0
        things = _ends(kind, _count(found["number"]), world, dialogue, is_last=is_last)
    elif (found := _all().search(lower)) and len(text[found.end() :].split()) <= MOST_AFTER:
        kind = _kinds()[found["noun"]]
        things = _all_of(kind, found["state"] or "", world)
    else:
        return None
    if not 0 < len(things) <= MOST:
        return None
    before, after = text[: found.start()], text[found.end() :]
    # A project may have the name of its video.
    noun = "video " if kind == "render" else ""
    texts = tuple(f"{before}{noun}{one}{after}" for one in things)
    return Group(kind, texts, is_all=found.re is _all())


def _at_places(kind: str, numbers: Sequence[int], world: World, dialogue: Dialogue) -> list[str]:
    """Returns what the things at some places are called in a sentence."""
    if kind == "scene":
        return [_scene(number) for number in numbers]
    names = dialogue.shown.get(kind, ())
    return [names[number - 1] for number in numbers if number <= len(names)]


def _ends(kind: str, number: int, world: World, dialogue: Dialogue, *, is_last: bool) -> list[str]:
    """Returns the same for so many first or last ones. Without a list the last videos are the newest."""
    if kind == "scene":
        there = sorted(one.number for one in world.scenes_of(dialogue.last.get("project", "")))
        numbers = there[-number:] if is_last else there[:number]
        return [_scene(one) for one in numbers]
    shown = dialogue.shown.get(kind)
    if shown:
        names = [*shown[-number:]] if is_last else [*shown[:number]]
    elif kind == "render" and is_last:
        names = [one.name for one in world.of_kind(kind)][:number]
    else:
        return []
    return names if len(names) == number else []


def _all_of(kind: str, state: str, world: World) -> list[str]:
    groups = values.words().groups
    forms = {state, *(state.removesuffix(end) for end in ("e", "en", "er", "es"))}
    states = next((some for name, some in STATES.items() if forms & groups[name]), None)
    return [one.name for one in world.of_kind(kind) if states is None or one.state in states]


def state_in(text: str) -> str | None:
    """Returns the one state of videos that a text asks for, as the tool that lists them takes it."""
    groups, lower = values.words().groups, text.lower()
    found = {
        state
        for name, state in LISTED.items()
        for match in re.finditer(rf"(?<!\w)(?:{_any_of([*groups[name]])})(?!\w)", lower)
        if not _HAVE.search(lower[: match.start()])
    }
    return found.pop() if len(found) == 1 and not values.matches("negation", text) else None


def _count(word: str) -> int:
    return BOTH if word in values.words().groups["both"] else values.number(word) or 0


def _scene(number: int) -> str:
    return f"scene {number}"


def _numbers(text: str) -> list[int]:
    """Returns the numbers of “1, 2 and 4”, “two to four”, each once."""
    found: list[int] = []
    is_range = False
    for word in re.findall(r"\w+|[-–]", text):
        if word in values.words().groups["ranges"] or word in "-–":
            is_range = bool(found)
        elif (number := values.number(word)) is not None:
            found += range(found[-1] + 1, number + 1) if is_range else [number]
            is_range = False
    return list(dict.fromkeys(one for one in found if one > 0))


@cache
def _kinds() -> dict[str, str]:
    """Returns the kind of thing that each noun names."""
    return dict(values.words().values["kind"])


def _any_of(words: Sequence[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


@cache
def _number() -> str:
    table = values.words().numbers
    counts = [word for word, number in table.items() if number > 0 and word not in values.ARTICLES[:2]]
    return rf"(?:\d{{1,2}}|{_any_of(counts)})"


@cache
def _numbered() -> re.Pattern[str]:
    groups = values.words().groups
    joint = rf"(?:\s*[,&/–-]\s*|\s+(?:{_any_of([*groups['joiners'], *groups['ranges']])})\s+)"
    nouns = _any_of([*_kinds()])
    noun = rf"(?P<noun>{nouns})"
    return re.compile(
        rf"(?<![\w-])(?:{noun}|numbers?|nr\.?|nummern?)\s+(?P<numbers>{_number()}(?:{joint}(?:(?:{nouns})\s+)?{_number()})+)(?![\w%:.]*\w)"
    )


@cache
def _first() -> re.Pattern[str]:
    words = values.words()
    articles = _any_of([*words.groups["articles"]])
    ends = [word for word, place in words.ordinals.items() if place in (1, -1)]
    place = rf"(?P<place>{_any_of(ends)})"
    counts = [word for word, number in words.numbers.items() if number > 1]
    number = rf"(?P<number>[2-9]|1\d|{_any_of([*counts, *words.groups['both']])})"
    noun = rf"(?:\s+(?P<noun>{_any_of([*_kinds()])})\b)?"
    return re.compile(rf"(?<!\w)(?:{articles})\s+{place}\s+{number}{noun}(?!\w)")


@cache
def _all() -> re.Pattern[str]:
    groups = values.words().groups
    states = _any_of([word for name in STATES for word in groups[name]])
    articles = _any_of([*groups["articles"]])
    everything = _any_of([*groups["all"] - groups["both"]])
    return re.compile(
        rf"(?<!\w)(?:{everything})\s+(?:of\s+)?(?:(?:{articles})\s+)?(?:(?P<state>(?:{states})(?:e[nrs]?)?)\s+)?"
        rf"(?P<noun>{_any_of([word for word, kind in _kinds().items() if kind == 'render'])})(?!\w)"
    )
