"""Writes out dates, times, money, units and abbreviations by the tables of a language; captions keep them as
written. Numbers stay digits: the voices read those by themselves, apart from years of some languages.

A language is one file of data, such as `german_forms`; `spoken` chooses it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_EDGES = re.compile(r"^([(\[\"'“„‚‘«»]*)(.*?)([.,;:!?)\]\"'“”’«»…]*)$", re.DOTALL)
_DATE = re.compile(r"^(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d\d)?$")
_ISO_DATE = re.compile(r"^(\d{4})-(\d\d)-(\d\d)$")
_TIME = re.compile(r"^([01]?\d|2[0-4])[:.h]([0-5]\d)$")
_RANGE = re.compile(r"^(\d[\d.,]*)[–—](\d[\d.,]*)$")
_YEAR = re.compile(r"^(1[1-9])(\d\d)$")
_CENTURY_TURNS = 70
"""Years of two digits below this are of the 2000s, as POSIX `%y` has it for 69."""


@dataclass(frozen=True, slots=True)
class LanguageForms:
    """Holds what a language writes short and says long. Keys are in lower case.

    `phrases`: abbreviations of several words, each with as many spoken ones. `before_numbers` and
    `after_numbers`: said so beside a number only. `units`: one, many. `currencies`: one, many, cent, cents.
    `days`: the ordinals of 1 to 31, without ending; `day_endings`: the ending behind one or two words, and
    behind "", which is any other. `hundreds`: how years of 1100 to 1999 begin. `endings`:
    abbreviations that may end a sentence. `suffixes`: ends of words.
    """

    decimal: str
    thousands: str
    words: Mapping[str, str]
    phrases: Mapping[tuple[str, ...], tuple[str, ...]]
    before_numbers: Mapping[str, str]
    after_numbers: Mapping[str, str]
    units: Mapping[str, tuple[str, str]]
    currencies: Mapping[str, tuple[str, str, str, str]]
    months: Sequence[str]
    weekdays: Mapping[str, str]
    days: Sequence[str]
    day_endings: Mapping[str, str]
    ordinal_nouns: frozenset[str]
    hour: str
    to: str
    per: str
    minus: str
    percent: str
    fractions: Mapping[str, str]
    signs: Mapping[str, str]
    date_signs: str = "./"
    hundreds: Mapping[str, str] = field(default_factory=dict)
    endings: frozenset[str] = frozenset()
    suffixes: Mapping[str, str] = field(default_factory=dict)

    def in_words(self, words: Sequence[str]) -> list[str]:
        """Returns what is said for each written word; never more nor fewer, and a word that needs nothing is
        returned as it is.
        """
        spoken: list[str] = []
        while len(spoken) < len(words):
            place = len(spoken)
            phrase = self._phrase(words, place)
            if phrase is None:
                phrase = [_Reading(self, words, place).text()]
            last = words[place + len(phrase) - 1]
            following = words[place + len(phrase)] if place + len(phrase) < len(words) else ""
            # The full stop of an abbreviation may be that of its sentence as well.
            is_end = not following or (self._may_end(last) and following[:1].isupper())
            if last.endswith(".") and phrase[-1] != last and phrase[-1][-1:].isalnum() and is_end:
                phrase[-1] += "."
            spoken += phrase
        return spoken

    def _may_end(self, word: str) -> bool:
        return word.lower() in self.endings or re.search(r"\d\.\d\d?\.$", word) is not None

    def _phrase(self, words: Sequence[str], place: int) -> list[str] | None:
        opening = "(" if words[place].startswith("(") else ""
        for written, spoken in self.phrases.items():
            found = " ".join(words[place : place + len(written)]).removeprefix(opening)
            tail = found[len(" ".join(written)) :]
            if found.lower().startswith(" ".join(written)) and not tail.strip(",;:!?)"):
                return [opening + spoken[0], *spoken[1:-1], spoken[-1] + tail]
        return None


class _Reading:
    """One word of a text and its neighbours."""

    def __init__(self, forms: LanguageForms, words: Sequence[str], place: int) -> None:
        self._forms, self._word = forms, words[place]
        self._before = words[place - 1] if place else ""
        self._before_that = words[place - 2] if place > 1 else ""
        self._following = words[place + 1] if place + 1 < len(words) else ""
        edges = _EDGES.match(self._word)
        self._opening, self._core, self._closing = edges.groups() if edges else ("", self._word, "")

    def text(self) -> str:
        for read in (
            self._abbreviation,
            self._day,
            self._date,
            self._time,
            self._money,
            self._unit,
            self._number,
        ):
            if (spoken := read()) is not None:
                return spoken
        return self._word

    def _as(self, spoken: str, *, dotted: bool = False) -> str:
        """With the signs around it; without the full stop that is the abbreviation's own."""
        return f"{self._opening}{spoken}{self._closing.removeprefix('.') if dotted else self._closing}"

    def _abbreviation(self) -> str | None:
        forms, lower = self._forms, self._core.lower()
        dotted = self._closing.startswith(".")
        key = f"{lower}." if dotted else lower
        if key in forms.before_numbers:
            is_before = self._following[:1].isdigit()
            return self._as(forms.before_numbers[key], dotted=True) if is_before else None
        if key in forms.after_numbers and _is_number(self._before):
            return self._as(forms.after_numbers[key], dotted=True)
        is_weekday = self._following[:1].isdigit() or self._closing.startswith(".,")
        if key in forms.weekdays and is_weekday:
            return self._as(forms.weekdays[key], dotted=True)
        if key in forms.words:
            return self._as(forms.words[key], dotted=True)
        if self._core in forms.signs:
            return self._as(forms.signs[self._core])
        span = re.fullmatch(r"(\w+)\.?[–—-](\w+)", lower)
        if span and all(f"{part}." in forms.weekdays for part in span.groups()):
            first, last = (forms.weekdays[f"{part}."] for part in span.groups())
            return self._as(f"{first} {forms.to} {last}", dotted=True)
        for short, full in forms.suffixes.items():
            if key.endswith(short) and len(key) > len(short):
                return self._as(self._core[: len(self._core) - len(short.rstrip("."))] + full, dotted=True)
        return None

    def _ordinal(self, day: int) -> str:
        """Returns “dritten” behind “am”, “dritter” on its own."""
        ordinal = self._forms.days[day - 1]
        if ordinal.isdigit():
            return ordinal
        before = self._before.lower().strip("(")
        names = (f"{self._before_that.lower()} {before}", before, "")
        return ordinal + next(
            self._forms.day_endings[name] for name in names if name in self._forms.day_endings
        )

    def _day(self) -> str | None:
        """The day of “3. Mai”, the number of “21. Jahrhundert”."""
        noun = self._following.rstrip(".,;:!?)")
        names = {*self._forms.months, *self._forms.ordinal_nouns}
        if not (self._core.isdigit() and self._closing == "." and 1 <= int(self._core) <= 31):
            return None
        return self._as(self._ordinal(int(self._core)), dotted=True) if noun in names else None

    def _date(self) -> str | None:
        closing = self._closing
        if found := _ISO_DATE.match(self._core):
            year, month, day = found.groups()
        elif found := _DATE.match(self._core):
            day, sign, month, year = found.groups()
            if sign not in self._forms.date_signs or year is None:
                return None
        elif (found := _DATE.match(f"{self._core}.")) and closing.startswith(".") and "." in self._core:
            # “am 3.5.” without a year.
            day, sign, month, year = found.groups()
            closing = closing.removeprefix(".")
        else:
            return None
        if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
            return None
        spoken = f"{self._ordinal(int(day))} {self._forms.months[int(month) - 1]}"
        if year:
            spoken += f" {self._year(four_digits(year))}"
        return f"{self._opening}{spoken}{closing}"

    def _year(self, year: str) -> str:
        found = _YEAR.match(year)
        if found is None or found[1] not in self._forms.hundreds:
            return year
        rest = found[2].lstrip("0")
        return f"{self._forms.hundreds[found[1]]} {rest}".rstrip()

    def _time(self) -> str | None:
        forms = self._forms
        if self._core == forms.hour and (found := _TIME.match(self._before)):
            # “14:30 Uhr” is 14 Uhr 30: the minutes go behind the word.
            return self._as(f"{forms.hour} {int(found[2])}") if int(found[2]) else None
        found = _TIME.match(self._core)
        if found is None:
            return None
        is_before_hour = self._following.rstrip(".,;:!?)") == forms.hour
        if is_before_hour:
            return self._as(str(int(found[1])))
        if self._core[len(found[1])] == ".":
            return None
        minutes = f" {int(found[2])}" if int(found[2]) else ""
        return self._as(f"{int(found[1])} {forms.hour}{minutes}")

    def _money(self) -> str | None:
        forms, core = self._forms, self._core
        named = "|".join(map(re.escape, sorted(forms.currencies, key=len, reverse=True)))
        if core.lower() in forms.currencies:
            return self._currency_behind(core.lower())
        found = re.fullmatch(rf"(?:({named}))?(-?\d[\d.,]*)(?:({named}))?(?:/(\w+))?", core, re.IGNORECASE)
        sign = found and (found[1] or found[3])
        if found is None or not sign:
            return None
        whole, cents = self._amount(found[2])
        one, many, cent, more = forms.currencies[sign.lower()]
        spoken = f"{whole} {one if whole == '1' else many}"
        if cents is None:
            spoken = f"{self._plain(found[2])} {many}"
        elif cents and whole == "0":
            spoken = f"{cents} {cent if cents == 1 else more}"
        elif cents:
            spoken += f" {cents}"
        if found[4]:
            unit = forms.units.get(found[4].lower(), (found[4], found[4]))[0]
            spoken += f" {forms.per} {unit}"
        return self._as(spoken)

    def _currency_behind(self, sign: str) -> str | None:
        """“1.500,50 €”: the cents go behind the name, as “1500 Euro 50” is said."""
        one, many, cent, more = self._forms.currencies[sign]
        if not _is_number(self._before):
            in_millions = self._before.lower() in self._forms.after_numbers
            return self._as(many) if in_millions else None
        whole, cents = self._amount(self._before)
        if cents and whole == "0":
            return self._as(cent if cents == 1 else more)
        name = one if whole == "1" and not cents else many
        return self._as(f"{name} {cents}" if cents else name)

    def _amount(self, number: str) -> tuple[str, int | None]:
        """Returns the whole part, and cents where two digits stand behind the sign of decimals; None where
        another number does.
        """
        whole, _, part = self._plain(number).partition(self._forms.decimal)
        return whole, None if part and len(part) != 2 else int(part or 0)

    def _plain(self, number: str) -> str:
        """Returns a number without the signs that part its thousands."""
        signs = re.escape(self._forms.thousands)
        if signs and re.fullmatch(rf"-?\d{{1,3}}([{signs}]\d{{3}})+({self._forms.decimal}\d+)?", number):
            return re.sub(rf"[{signs}]", "", number)
        return number

    def _unit(self) -> str | None:
        units = self._forms.units
        if found := re.fullmatch(r"(-?\d[\d.,]*)([^\d\s.,–]+)", self._core):
            if found[2] == "%":
                return self._as(f"{self._plain(found[1])} {self._forms.percent}")
            unit = units.get(found[2].lower())
            return self._as(f"{self._plain(found[1])} {unit[found[1] != '1']}") if unit else None
        if not _is_number(self._before) and self._before not in self._forms.fractions:
            return None
        if self._core == "%":
            return self._as(self._forms.percent)
        unit = units.get(self._core.lower())
        return self._as(unit[self._before.strip("(") != "1"]) if unit else None

    def _number(self) -> str | None:
        forms, core = self._forms, self._core
        if core in forms.fractions:
            return self._as(forms.fractions[core])
        if found := _RANGE.match(core):
            return self._as(f"{self._plain(found[1])} {forms.to} {self._plain(found[2])}")
        following = self._following.rstrip(".,;:!?)").lower()
        if following in forms.currencies and re.fullmatch(r"-?\d[\d.,]*", core):
            whole, cents = self._amount(core)
            if cents is not None:
                return self._as(str(cents) if cents and whole == "0" else whole)
        if _YEAR.match(core) and following not in {*forms.units, *forms.currencies, "%"}:
            year = self._year(core)
            return self._as(year) if year != core else None
        plain = self._plain(core)
        if plain[:1] in "-−" and plain[1:2].isdigit():
            plain = f"{forms.minus} {plain[1:]}"
        return self._as(plain) if plain != core else None


def four_digits(year: str) -> str:
    return year if len(year) == 4 else f"{20 if int(year) < _CENTURY_TURNS else 19}{year}"


def _is_number(word: str) -> bool:
    return re.fullmatch(r"\(?[-−]?\d[\d.,]*", word) is not None
