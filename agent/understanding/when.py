"""Finds the conditions of a sentence: times, repetitions and events, each with its place in the text.

The words come from `conditions/*.yaml`. All languages are tried: people mix them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Literal

from agent.sentences import read_folder
from agent.understanding import moments, values
from agent.understanding.sentence import quotations, tails

Kind = Literal["now", "time", "repeat", "event"]
Thing = Literal["", "render", "machine", "run", "job"]
SUBJECT_CHARS = 60
HIDDEN = "§"
DEFAULT_CLOCK = (9, 0)
"""Of a day without a time; the person sees it before it counts."""
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of steps. `of` and `name` are empty where only the steps before say what is meant."""

    kind: Kind = "now"
    at: datetime | None = None
    every: Literal["hour", "day", "week"] | None = None
    days: tuple[str, ...] = ()
    clock: str = ""
    of: Thing = ""
    name: str = ""
    becomes: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A condition at its place in a text; `subject`: the words for what an event happens to."""

    condition: Condition
    start: int
    end: int
    subject: str = ""


@cache
def patterns() -> Mapping[str, str]:
    """Returns one regular expression for each group of words, of all languages."""
    groups: dict[str, list[str]] = {}
    for data in read_folder("understanding/conditions").values():
        for name, sources in data.items():
            groups.setdefault(name, []).extend(str(source) for source in sources)
    return {name: f"(?:{'|'.join(sources)})" for name, sources in groups.items()}


@cache
def _compiled() -> Mapping[str, re.Pattern[str]]:
    found = patterns()
    day, part, clock = found["day"], found["part"], found["clock"]
    begins, subject = found["begins"], rf"(?P<subject>[^.;!?§]{{0,{SUBJECT_CHARS}}}?)"
    state = "|".join(f"(?P<{name}>{found[name]})" for name in ("empty", "failed", "done"))
    sources = {
        "event": rf"\b{begins}\b,?{subject}(?<!\w)(?:{state})(?!\w)",
        "hour": rf"\b{found['hour']}\b",
        "weekly": rf"\b{found['weekly']}\b(?:,? {part})?(?:,? {clock})?",
        "weekdays_all": rf"(?:{clock} )?\b{found['weekdays_all']}\b(?:,? {part})?(?:,? {clock})?",
        "daily": rf"\b{found['daily']}\b(?:,? {clock})?",
        "span": rf"\b{found['span']}\b",
        "time": rf"(?<![\w.]){day}(?:,? {part})?(?:,? {clock})?(?:,? {part})?(?!\w)"
        rf"|(?<![\w.]){part},? {clock}(?!\w)"
        rf"|(?<![\w.]){clock}(?:,? {part})?(?:,? {day})?(?:,? {part})?(?!\w)",
    }
    return {name: re.compile(source) for name, source in sources.items()}


def mask_text(text: str) -> str:
    """Returns a text of the same length in lower case, without what is quoted or follows a colon."""
    result = list(text.lower() if len(text.lower()) == len(text) else text)
    lower = "".join(result)
    spoken = [one for one in tails(text) if ":" in text[one.start : one.text_start]]
    ended = {match.end() for match in _compiled()["event"].finditer(lower)} if spoken else set()
    for literal in [*quotations(text), *(one for one in spoken if one.start not in ended)]:
        for place in range(literal.start, min(literal.end, len(result))):
            result[place] = HIDDEN
    return "".join(result)


def conditions(text: str, now: datetime) -> list[Found]:
    """Returns the conditions of a text, in their order; of two that overlap the one that is tried first."""
    hidden = mask_text(text)
    taken: list[Found] = []
    last = now
    for found in _candidates(hidden, now):
        if not any(one.start < found.end and found.start < one.end for one in taken):
            taken.append(found)
    result = []
    for found in sorted(taken, key=lambda one: one.start):
        at = found.condition.at
        if at is not None and at < last and found.condition.kind == "time" and not _has_day(hidden, found):
            # “On Monday at seven …, in the evening at ten”: the same day.
            at = at.replace(year=last.year, month=last.month, day=last.day)
        elif at is not None and at < last and found.condition.kind == "time":
            # “On Friday …, and on Monday …”: the Monday after it.
            at += timedelta(days=7)
        found = replace(found, condition=replace(found.condition, at=at))
        last = at or last
        result.append(found)
    return result


def clock_time(text: str, now: datetime) -> datetime | None:
    """Returns the one time of day, with or without a day, that a text names; None without one or with
    several.
    """
    times = [one for one in conditions(text, now) if one.condition.kind == "time"]
    spoken = [one for one in times if re.search(patterns()["clock"], text[one.start : one.end].lower())]
    return spoken[0].condition.at if len(spoken) == 1 == len(times) else None


def _has_day(hidden: str, found: Found) -> bool:
    return re.search(patterns()["day"], hidden[found.start : found.end]) is not None


def _candidates(hidden: str, now: datetime) -> Iterator[Found]:
    compiled = _compiled()
    for name in ("weekdays_all", "weekly", "daily", "hour"):
        for match in compiled[name].finditer(hidden):
            yield Found(_repeat(name, match[0], now), match.start(), match.end())
    for name in ("span", "time"):
        for match in compiled[name].finditer(hidden):
            condition = _time(match[0], now)
            if condition is not None and _start_of_deadline(hidden, match) is None:
                yield Found(condition, match.start(), match.end())
    for match in compiled["event"].finditer(hidden):
        state = next(name for name in ("empty", "failed", "done") if match[name] is not None)
        subject = match["subject"]
        yield Found(
            Condition("event", of=_thing_of(f"{subject} {match[state]}"), becomes=state),
            match.start(), match.end(), subject.strip(" ,")
        )  # fmt: skip


def without_deadline(text: str) -> str:
    """Returns a text without “for tomorrow”, which says when something is needed."""
    hidden = mask_text(text)
    for match in _compiled()["time"].finditer(hidden):
        if (start := _start_of_deadline(hidden, match)) is not None:
            return f"{text[:start].rstrip()}{text[match.end() :]}"
    return text


def _start_of_deadline(hidden: str, match: re.Match[str]) -> int | None:
    """Returns where the words begin that say when something is needed, “for tomorrow”; None for a time at
    which it shall be made.
    """
    found = patterns()
    led = re.search(rf"\b{found['deadline']}\s+\Z", hidden[: match.start()])
    is_time = re.search(found["clock"], match[0]) or re.search(found["plans"], hidden)
    return None if led is None or is_time else led.start()


def _thing_of(subject: str) -> Thing:
    for name in ("run", "render"):
        if re.search(rf"\b{patterns()[name]}\b", subject):
            return "run" if name == "run" else "render"
    return ""


def _repeat(name: str, text: str, now: datetime) -> Condition:
    if name == "hour":
        return Condition("repeat", every="hour")
    at = moments.moment(re.sub(rf"\b{patterns()['every']}\b", " ", text), now)
    spoken = re.search(rf"{patterns()['clock']}|{patterns()['part']}", text)
    clock = f"{at:%H:%M}" if at is not None and spoken else "{:02}:{:02}".format(*DEFAULT_CLOCK)
    if name == "daily":
        return Condition("repeat", every="day", clock=clock)
    named = values.words().weekdays
    days = {
        DAYS[place] for word, place in named.items() if re.search(rf"\b{word}s?\b", text) and len(word) > 3
    }
    if name == "weekdays_all":
        days = set(DAYS[:5])
    return Condition("repeat", every="week", days=tuple(sorted(days, key=DAYS.index)), clock=clock)


def _time(text: str, now: datetime) -> Condition | None:
    spoken = re.sub(r"\bhours?\b(?= (?:of|in) the)", "o'clock", text)
    spoken = re.sub(r"\b(about|around|roughly|more|etwa|ungefähr|rund)\b ", "", spoken)
    spoken = re.sub(r"\btom+or+ow\b", "tomorrow", spoken)
    at = moments.moment(spoken, now)
    if at is None:
        return None
    if (at.hour, at.minute) == (0, 0) and not re.search(patterns()["clock"], spoken):
        at = at.replace(hour=DEFAULT_CLOCK[0], minute=DEFAULT_CLOCK[1])
    if at <= now:
        at += timedelta(days=1)
    return Condition("time", at=at)


def asks_to_wait(text: str, intent: str, now: datetime, *, reads: bool) -> bool:
    """Returns whether a text asks for a call later, although an intent was found for the whole of it: a
    condition begins it or follows a quotation, or it only looks at something “every day” or “in an hour”.
    """
    quoted = [literal.end for literal in quotations(text)]
    for found in conditions(text, now):
        kind = found.condition.kind
        if intent.startswith("publish_render") and kind == "time":
            continue
        begins = not re.sub(
            rf"{patterns()['filler']}|{patterns()['joins']}|[^\w]", "", text[: found.start].lower()
        )
        if begins and not (reads and kind == "time" and not _is_ahead(text[found.start : found.end])):
            return True
        if any(end <= found.start for end in quoted) and kind != "time":
            return True
        if reads and (kind == "repeat" or _is_ahead(text[found.start : found.end])):
            return True
    return False


def waits_for_event(text: str, arguments: Iterable[object], now: datetime) -> bool:
    """Returns whether a text waits for an event, outside of the arguments of its calls."""
    spoken = [value for value in arguments if isinstance(value, str)]
    events = [text[one.start : one.end] for one in conditions(text, now) if one.condition.kind == "event"]
    return any(not any(event in value for value in spoken) for event in events)


def _is_ahead(text: str) -> bool:
    """Returns whether a time is surely one to come: “in ten minutes”, “tomorrow at eight”."""
    return (
        re.search(rf"{patterns()['span']}|\b(?:tomorrow|tonight|morgen|übermorgen)\b", text.lower())
        is not None
    )
