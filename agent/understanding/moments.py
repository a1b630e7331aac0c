"""Recognises times in words: “in two hours”, “on Friday at noon”, “1 December, eight”."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from agent.understanding.values import ARTICLES, WORD, number, ordinal, words

_CLOCK = re.compile(
    r"\b(\d{1,2})(?:[:.h](\d{2}))?\s*(a\.?m\.?|p\.?m\.?|uhr|o'?clock)?(?:\s+(\d{2})\b)?", re.IGNORECASE
)
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2}))?")
_DOTTED = re.compile(r"\b(\d{1,2})[./](\d{1,2})[./](?:(\d{4}))?")
_YEAR = re.compile(r"\b20\d\d\b")
_PART_OF_HOUR = re.compile(
    r"\b(half past|halb|quarter past|viertel nach|quarter to|viertel vor|dreiviertel)\s+(\d{1,2}|\w+)\b"
)
_PARTS = {
    "half past": 30,
    "quarter past": 15,
    "viertel nach": 15,
    "quarter to": -15,
    "viertel vor": -15,
    "dreiviertel": -15,
    "halb": -30,
}
"""Minutes to add to the hour that is named after the words."""
FIRST_OF_NIGHT = 6
"""“At eleven at night” is late, and “at two at night” is not."""
LEAP_YEARS = 8
"""The most years from one 29 February to the next."""


def moment(text: str, now: datetime) -> datetime | None:
    """Returns the time that a text names, at or after `now` where it leaves a choice; None without one.

    “in two hours”, “on Friday at noon”, “tomorrow 8 am”, “1 December, eight”, “2026-12-24 18:00”. None, too,
    for a date that does not exist.
    """
    try:
        return _moment(text, now)
    except (ValueError, OverflowError):
        return None


def past_day(text: str, now: datetime) -> date | None:
    """Returns the day that a text names, at or before `now` where it leaves a choice; None without one.

    “last Tuesday”, “3 November”. One with a year is taken as it is.
    """
    at = moment(text, now)
    if at is None or at.date() <= now.date() or _YEAR.search(text):
        return None if at is None else at.date()
    if any(word.lower() in words().weekdays for word in WORD.findall(text)):
        return at.date() - timedelta(days=7)
    for year in range(now.year, now.year - LEAP_YEARS - 1, -1):
        try:
            day = at.date().replace(year=year)
        except ValueError:
            continue
        if day <= now.date():
            return day
    return None


def _moment(text: str, now: datetime) -> datetime | None:
    """Returns what `moment` does; raises ValueError or OverflowError for a date that does not exist."""
    lower = text.lower()
    spoken = [word.strip(".") for word in WORD.findall(lower)]
    table = words()
    for place, word in enumerate(spoken):
        unit = table.units.get(word)
        if unit and place and place > 1 and spoken[place - 2] in table.groups["in"] | {"half"}:
            amount = number(spoken[place - 1])
            if amount is not None:
                return now + timedelta(seconds=amount * unit)
    iso = _ISO.search(lower)
    if iso:
        day = _date(now, iso[1], int(iso[2]), int(iso[3]))
        return day.replace(hour=int(iso[4] or 0), minute=int(iso[5] or 0), second=0, microsecond=0)
    found, rest = _day(lower, spoken, now)
    clock = _clock(rest)
    if found is None and clock is None:
        return None
    base = (found or now).replace(second=0, microsecond=0)
    hour, minute = clock or (0, 0)
    result = base.replace(hour=hour, minute=minute)
    return result + timedelta(days=1) if found is None and result <= now else result


def _date(now: datetime, year: str | None, month: int, day: int) -> datetime:
    """Returns the date, in the next year that has it where none is named. Raises ValueError for others."""
    for each in [int(year)] if year else range(now.year, now.year + LEAP_YEARS + 1):
        try:
            found = now.replace(year=each, month=month, day=day)
        except ValueError:
            continue
        if year or found.date() >= now.date():
            return found
    raise ValueError(f"day {day} of month {month} does not exist")


def _day(lower: str, spoken: list[str], now: datetime) -> tuple[datetime | None, str]:
    """Returns the day, and the text without it. Raises ValueError for a date that does not exist."""
    table = words()
    dotted = _DOTTED.search(lower)
    if dotted and int(dotted[2]) <= 12 and 0 < int(dotted[1]) <= 31:
        day = _date(now, dotted[3], int(dotted[2]), int(dotted[1]))
        return day, lower.replace(dotted[0], " ")
    for word in spoken:
        if word in table.months:
            near = re.search(
                rf"(\w+?)(?:st|nd|rd|th|\.)?\s+(?:of\s+)?{word}\b|{word}\s+(?:the\s+)?(\w+?)(?:st|nd|rd|th)?\b",
                lower,
            )
            if near:
                date = ordinal(near[1] or near[2]) or number(near[1] or near[2])
                if date and 0 < date <= 31:
                    year = _YEAR.search(lower)
                    day = _date(now, year and year[0], table.months[word], date)
                    return day, lower.replace(near[0], " ").replace(year[0] if year else "\0", " ")
    for place, word in enumerate(spoken):
        if word in table.weekdays:
            ahead = (table.weekdays[word] - now.weekday()) % 7
            return now + timedelta(days=ahead or 7), lower.replace(word, " ")
        if word in table.days and "am" not in spoken[place - 1 : place]:
            # “Am Morgen” is no tomorrow; “tonight” says the time, too.
            rest = lower if word in table.clock else lower.replace(word, " ", 1)
            return now + timedelta(days=table.days[word]), rest
    return None, lower


def _clock(text: str) -> tuple[int, int] | None:
    table = words()
    spoken = WORD.findall(text)
    marks = {word.strip(".") for word in spoken}
    is_late, is_night = marks & table.groups["afternoon"], marks & table.groups["night"]
    first_late = 0 if is_late else FIRST_OF_NIGHT if is_night else 24
    part = _PART_OF_HOUR.search(text)
    if part and 0 < (named := table.numbers.get(part[2]) or number(part[2]) or 0) <= 24:
        total = (_of_day(named, first_late, is_night=bool(is_night))) * 60 + _PARTS[part[1]]
        return total // 60 % 24, total % 60
    for found in _CLOCK.finditer(text):
        hour, minute = int(found[1]), int(found[2] or found[4] or 0)
        mark = (found[3] or "").lower()
        after = WORD.findall(text[found.end() :])[:1]
        if mark == "am" and (set(after) & table.clock.keys() or _is_german(text[: found.start()])):
            # “Um 8 am Abend”, and no hour before noon.
            mark = ""
        if (
            hour < 24
            and minute < 60
            and (
                found[2]
                or mark
                or re.search(r"\b(?:at|um|gegen|by|ab|for|to|nine|@)\s*$", text[: found.start()])
                or re.match(r"\s*(?:in the (?:morning|afternoon|evening)|at night)\b", text[found.end() :])
                or len(spoken) < 4
            )
        ):
            if mark.startswith(("a", "p")):
                return hour % 12 + (12 if mark.startswith("p") else 0) if hour <= 12 else hour, minute
            return _of_day(hour, first_late, is_night=bool(is_night)), minute
    for place, word in enumerate(spoken):
        if word in table.clock and not any(other in table.numbers for other in spoken):
            hour_text, minute_text = table.clock[word].split(":")
            return int(hour_text), int(minute_text)
        if 0 < table.numbers.get(word, 0) <= 24 and word not in ARTICLES:
            hour = table.numbers[word]
            follows = " ".join(spoken[place + 1 : place + 2])
            minute = table.numbers.get(follows, 0)
            minute = minute if 10 <= minute < 60 else 0
            return _of_day(hour, first_late, is_night=bool(is_night)), minute
    return None


def _of_day(hour: int, first_late: int, *, is_night: bool) -> int:
    """Returns an hour of 24, by the words for a part of the day beside it."""
    if hour == 12 and is_night:
        return 0
    return hour + 12 if first_late <= hour < 12 else hour % 24


def _is_german(before: str) -> bool:
    """Returns whether an hour is led by a German preposition, so that “am” after it is one, too."""
    return re.search(r"\b(?:um|gegen|ab)\s*$", before) is not None
