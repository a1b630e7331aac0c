"""Writes out dates, times, ranges, heights and signs within one English word; used by `spoken_english`."""

from __future__ import annotations

import re
from collections.abc import Callable

from avatar.speech.language_forms import four_digits

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
DAYS = {
    "mon": "Monday", "tue": "Tuesday", "tues": "Tuesday", "wed": "Wednesday", "thu": "Thursday",
    "thur": "Thursday", "thurs": "Thursday", "fri": "Friday", "sat": "Saturday", "sun": "Sunday",
}  # fmt: skip
NAMES = {
    "C#": "C sharp", "F#": "F sharp", "C++": "C plus plus", "WWI": "World War One", "WWII": "World War Two",
    "24/7": "24 7", "w/": "with", "w/o": "without",
}  # fmt: skip
_SPANS = {"mon": "Monday", **{name[:3].lower(): name for name in MONTHS}, **DAYS}
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth",
    "eighteenth", "nineteenth", "twentieth", "twenty-first", "twenty-second", "twenty-third",
    "twenty-fourth", "twenty-fifth", "twenty-sixth", "twenty-seventh", "twenty-eighth", "twenty-ninth",
    "thirtieth", "thirty-first",
)  # fmt: skip
FRACTIONS = {
    "1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter",
    "3/4": "three quarters", "1/5": "one fifth", "2/5": "two fifths", "3/5": "three fifths",
    "4/5": "four fifths", "1/8": "one eighth", "3/8": "three eighths", "5/8": "five eighths",
    "7/8": "seven eighths", "1/10": "one tenth",
}  # fmt: skip
_SIGNS_OF_FRACTIONS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅛": "1/8"}
_EDGES = re.compile(r"^([(\[\"'“‘]*)(.*?)([.,;:!?)\]\"'”’…]*)$")
_HEIGHT = re.compile(r"^([(\[]*)(\d+)['’′](\d{1,2})[\"”″](\W*)$")


def write_out(word: str, *, month_first: bool) -> str | None:
    """Returns what is said for a word that has a form of its own, None for any other. The punctuation around
    it stays. `month_first` reads 03/04 as March 4.
    """
    if height := _HEIGHT.match(word):
        return f"{height[1]}{height[2]} foot {height[3]}{height[4]}"
    edges = _EDGES.match(word)
    if edges is None:
        return None
    opening, core, closing = edges.groups()
    if core in NAMES:
        return f"{opening}{NAMES[core]}{closing}"
    for pattern, say in _FORMS:
        if (found := pattern.match(core)) and (spoken := say(found, month_first)):
            # The full stop of "Fri." or "a.m." is no end of a sentence.
            return f"{opening}{spoken}{closing.removeprefix('.') if pattern in _DOTTED else closing}"
    return None


def fraction(word: str, before: str) -> str | None:
    """Returns what is said for 1/2, ½ or 2½, behind `before`; None for any other word."""
    edges = _EDGES.match(word)
    if edges is None:
        return None
    opening, core, closing = edges.groups()
    whole = core.rstrip("".join(_SIGNS_OF_FRACTIONS))
    sign = core[len(whole) :]
    spoken = FRACTIONS.get(_SIGNS_OF_FRACTIONS.get(sign, core if not sign else ""))
    if spoken is None or (whole and sign and not whole.isdigit()):
        return None
    whole = whole if sign else ""
    if whole or before.isdigit():
        # “1 1/2” is one and a half.
        spoken = "and " + spoken.replace("one half", "a half").replace("one quarter", "a quarter")
    return f"{opening}{f'{whole} ' if whole else ''}{spoken}{closing}"


def _date(year: str, month: str, day: str) -> str | None:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    return f"{MONTHS[int(month) - 1]} {_ORDINALS[int(day) - 1]} {year}"


def _slashed(found: re.Match[str], month_first: bool) -> str | None:
    first, second, year = found.groups()
    year = four_digits(year)
    month, day = (first, second) if month_first else (second, first)
    # 25/12/2026 can be read one way only.
    return _date(year, month, day) or _date(year, day, month)


def _span(found: re.Match[str], _: bool) -> str | None:
    names = [_SPANS.get(part.lower()[:4].rstrip("."), "") for part in found.groups()]
    return " to ".join(names) if all(names) else None


def _clock(found: re.Match[str], _: bool) -> str:
    return f"{found[1].replace('.', ':')} {found[2].upper()} M"


_SPAN = re.compile(r"^([A-Za-z]{3,5})\.?[–—-]([A-Za-z]{3,5})$")
_CLOCK = re.compile(r"^(\d{1,2}(?:[:.]\d\d)?)([ap])\.?m$", re.IGNORECASE)
_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], bool], str | None]], ...] = (
    (re.compile(r"^(\d{4})-(\d\d)-(\d\d)$"), lambda found, _: _date(*found.groups())),
    (re.compile(r"^(\d{1,2})/(\d{1,2})/(\d{4}|\d\d)$"), _slashed),
    (_CLOCK, _clock),
    (_SPAN, _span),
    (re.compile(r"^(-?\d[\d,.]*)%$"), lambda found, _: f"{found[1]} percent"),
    (re.compile(r"^(\d[\d,.]*%?)–(\d[\d,.]*)(%?)$"),
     lambda found, _: f"{found[1]} to {found[2]}{' percent' if found[3] else ''}"),
)  # fmt: skip
_DOTTED = (_SPAN,)
