"""Writes out abbreviations, money and units as English words; captions keep them as written. Used by flite,
which reads numbers, times and most dates by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from avatar.speech.written_forms import MONTHS, fraction, write_out

WORDS = {
    "prof.": "professor", "dr.": "doctor", "mr.": "mister", "mrs.": "missis", "ms.": "miz",
    "rev.": "reverend", "gen.": "general", "capt.": "captain", "sgt.": "sergeant",
    "jr.": "junior", "sr.": "senior",
    "rd.": "road", "ave.": "avenue", "blvd.": "boulevard", "apt.": "apartment", "dept.": "department",
    "mt.": "mount", "ft.": "feet", "vs.": "versus", "vs": "versus", "approx.": "approximately",
    "etc.": "et cetera", "e.g.": "for example", "i.e.": "that is", "a.m.": "A M", "p.m.": "P M",
    "al.": "al", "inc.": "incorporated",
    "ltd.": "limited", "co.": "company", "min.": "minutes", "max.": "maximum",
    "mon.": "Monday", "tue.": "Tuesday", "thu.": "Thursday", "fri.": "Friday",
    "jan.": "January", "feb.": "February", "aug.": "August", "sept.": "September", "oct.": "October",
    "nov.": "November", "dec.": "December",
}  # fmt: skip
ALSO_WORDS = {"wed.": "Wednesday", "sat.": "Saturday", "sun.": "Sunday"}
"""Weekdays that look like other words at the end of a sentence."""
BEFORE_WEEKDAYS = frozenset(
    {
        "on",
        "every",
        "each",
        "until",
        "till",
        "by",
        "next",
        "last",
        "this",
        "from",
        "to",
        "and",
        "or",
        "through",
    }
)
BEHIND_WEEKDAYS = frozenset({"at", "from", "morning", "afternoon", "evening", "night", "and", "or", "to"})
BEFORE_NUMBERS = {
    "no.": "number", "p.": "page", "pp.": "pages", "fig.": "figure", "figs.": "figures", "ch.": "chapter",
    "vol.": "volume", "sec.": "section", "eq.": "equation",
}  # fmt: skip
"""Said so before a number only."""
BEHIND_NAMES = ("co.", "inc.", "ltd.")
"""Written out behind a name or “&” only: what follows “vs.” is a name itself."""
LEADING = frozenset(
    [
        *("prof.", "dr.", "mr.", "mrs.", "ms.", "rev.", "gen.", "capt.", "sgt.", "mt.", "vs.", "vs"),
        *("approx.", "e.g.", "i.e.", "st."),
        *BEFORE_NUMBERS,
    ]
)
"""Something follows these in the same sentence."""
STARTERS = frozenset({
    "a", "after", "all", "and", "an", "as", "at", "but", "first", "he", "her", "his", "if", "in", "it",
    "its", "my", "next", "no", "now", "on", "our", "she", "so", "that", "the", "their", "then", "there",
    "these", "they", "this", "those", "we", "what", "when", "where", "who", "why", "you", "your",
})  # fmt: skip
"""Behind initials, which often stand before names, only these begin a sentence."""
UNITS = {
    "km²": ("square kilometer", "square kilometers"), "m²": ("square meter", "square meters"),
    "cm²": ("square centimeter", "square centimeters"), "m³": ("cubic meter", "cubic meters"),
    "cm³": ("cubic centimeter", "cubic centimeters"), "m/s": ("meter per second", "meters per second"),
    "lbs": ("pound", "pounds"),
    "km": ("kilometer", "kilometers"), "m": ("meter", "meters"), "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"), "kg": ("kilogram", "kilograms"), "g": ("gram", "grams"),
    "mg": ("milligram", "milligrams"), "l": ("liter", "liters"), "ml": ("milliliter", "milliliters"),
    "km/h": ("kilometer per hour", "kilometers per hour"), "mph": ("mile per hour", "miles per hour"),
    "lb": ("pound", "pounds"), "oz": ("ounce", "ounces"), "kwh": ("kilowatt hour", "kilowatt hours"),
    "kw": ("kilowatt", "kilowatts"), "hz": ("hertz", "hertz"), "khz": ("kilohertz", "kilohertz"),
    "ghz": ("gigahertz", "gigahertz"), "mb": ("megabyte", "megabytes"), "gb": ("gigabyte", "gigabytes"),
    "tb": ("terabyte", "terabytes"), "ms": ("millisecond", "milliseconds"),
    "°c": ("degree Celsius", "degrees Celsius"),
    "°f": ("degree Fahrenheit", "degrees Fahrenheit"), "°": ("degree", "degrees"),
}  # fmt: skip
CURRENCIES = {
    "£": ("pound", "pounds", "penny", "pence"), "€": ("euro", "euros", "cent", "cents"),
    "$": ("dollar", "dollars", "cent", "cents"), "¥": ("yen", "yen", "", ""),
}  # fmt: skip
_SCALE_WORDS = {"k": "thousand", "m": "million", "bn": "billion"}
_SCALES = r"(?:thousand|million|billion|trillion|k|m|bn)"
_MONEY = re.compile(r"^(\W*)([£€$¥])(\d[\d,]*)(?:\.(\d+))?(k|m|bn)?(\W*)$", re.IGNORECASE)
_QUANTITY = re.compile(r"^(\W*)(-?\d[\d,.]*)\s?([a-z°/²³]+)(\W*)$", re.IGNORECASE)
_RATE = re.compile(r"^(\W*[£€$¥]?\d[\d,.]*)/([a-z]+[²³]?)(\W*)$", re.IGNORECASE)
_NUMBER = re.compile(r"^\W*-?\d[\d,]*(?:\.\d+)?$")
_SIGNS = {"&": "and", "+": "plus", "=": "equals", "@": "at", "→": "to", "×": "times"}


def in_words(words: Sequence[str], language: str = "en") -> list[str]:
    """Returns what is said for each written word; a word that needs nothing is returned as it is. Dates such
    as 03/04/2026 have the month first in en-US, else the day. An abbreviation that ends a sentence before
    another one keeps a full stop.
    """
    month_first = language.strip().lower().replace("_", "-") == "en-us"
    spoken = []
    for place, word in enumerate(words):
        reading = _in_words(words, place, month_first=month_first)
        if place + 1 < len(words) and is_abbreviation(word):
            if ends_sentence(words, place):
                reading = f"{reading.rstrip('.')}."
            elif reading != word:
                reading = reading.rstrip(".")
        spoken.append(reading)
    return spoken


def is_abbreviation(word: str) -> bool:
    """Returns whether the full stop of a word belongs to it."""
    lower = word.lower()
    return (
        lower in WORDS
        or lower in LEADING
        or (lower.endswith(".") and lower[:-1] in ("lbs", "lb", "oz", "kg", "km", "cm", "mm"))
        or re.search(r"(?:^|\d)(?:\w\.)+$", word) is not None
    )


def ends_sentence(words: Sequence[str], place: int) -> bool:
    """Returns whether an abbreviation also ends its sentence, by the word that follows."""
    lower = words[place].lower()
    if place + 1 == len(words):
        return True
    following = words[place + 1].lstrip("(\"'“‘")
    if (lower in LEADING and lower != "st.") or not following[:1].isupper() or is_abbreviation(following):
        return False
    return following.lower().rstrip(",") in STARTERS or not (
        lower == "st." or re.fullmatch(r"(?:\w\.)+", lower)
    )


def _in_words(words: Sequence[str], place: int, *, month_first: bool) -> str:
    word = words[place]
    before = words[place - 1] if place else ""
    following = words[place + 1] if place + 1 < len(words) else ""
    lower = word.lower()
    if lower in ("st.", "st.,"):
        # “St. Paul” is a saint, “Elm St.” a street.
        is_name = following[:1].isupper() and not before[:1].isupper()
        return ("saint" if is_name else "street") + lower[3:]
    if lower in BEFORE_NUMBERS and following[:1].isdigit():
        return BEFORE_NUMBERS[lower]
    if lower in BEHIND_NAMES and not (before[:1].isupper() or before in ("&", "and")):
        return word
    if lower.rstrip(",") in ALSO_WORDS and _is_weekday(word, before, following):
        starts = following[:1].isupper() and following.lower().rstrip(",") in STARTERS
        return ALSO_WORDS[lower.rstrip(",")] + ("." if starts else lower[len(lower.rstrip(",")) :])
    if (portion := fraction(word, before)) is not None:
        return portion
    if (rate := _RATE.match(word)) is not None and (per := _per(rate[2])):
        amount = _in_words([rate[1]], 0, month_first=month_first)
        return f"{amount} per {per}{rate[3]}"
    if (form := write_out(word, month_first=month_first)) is not None:
        return form
    if (
        (money_before := _MONEY.match(before))
        and money_before[2] != "$"
        and re.fullmatch(rf"{_SCALES}\W*", lower)
    ):
        end = word.rstrip(".,;:!?)")
        return f"{end} {CURRENCIES[money_before[2]][1]}{word[len(end) :]}"
    bare = lower.rstrip(",;:!?")
    # “5 ms.” at the end of a sentence is a time, “Ms. Lee” a person.
    if bare in WORDS and not (bare == "ms." and _NUMBER.match(before)):
        return WORDS[bare] + word[len(bare) :]
    if word in _SIGNS:
        return _SIGNS[word]
    if (money := _MONEY.match(word)) is not None:
        return _money(money, following)
    if (quantity := _QUANTITY.match(word)) is not None and (unit := UNITS.get(quantity[3].lower())):
        return f"{quantity[1]}{quantity[2]} {unit[quantity[2] != '1']}{quantity[4]}"
    signs = word[len(word.rstrip(".,;:!?)")) :]
    unit = UNITS.get(word.removesuffix(signs).lower()) if len(word) > 1 or word in "mgl" else None
    if unit is not None and _NUMBER.match(before):
        return unit[before.strip("(") != "1"] + signs
    return word


def _is_weekday(word: str, before: str, following: str) -> bool:
    """Returns whether “Sat.” is a day: “He sat.” and “the Sun.” are none."""
    near = following.lower().strip("(,.;")
    return word[0].isupper() and (
        before.lower() in BEFORE_WEEKDAYS
        or near in BEHIND_WEEKDAYS
        or following[:1].isdigit()
        or near.capitalize() in MONTHS
    )


def _per(unit: str) -> str | None:
    """Returns one of what a rate counts by: kg, night."""
    named = UNITS.get(unit.lower())
    return named[0] if named else unit.lower() if len(unit) > 2 and unit.islower() else None


def _money(found: re.Match[str], following: str) -> str:
    opening, sign, whole, part, scale, closing = found.groups()
    one, many, small, smalls = CURRENCIES[sign]
    if scale:
        amount = f"{whole}.{part}" if part else whole
        return f"{opening}{amount} {_SCALE_WORDS[scale.lower()]} {many}{closing}"
    if re.fullmatch(rf"{_SCALES}\W*", following, re.IGNORECASE):
        # “$3 million” is three million dollars; flite says the name behind both by itself for dollars alone.
        return f"{opening}{whole}{f'.{part}' if part else ''}{closing}" if sign != "$" else found[0]
    if part and len(part) != 2:
        return f"{opening}{whole}.{part} {many}{closing}"
    words = f"{whole} {one if whole == '1' else many}"
    if part and part != "00" and smalls:
        words += f" and {int(part)} {small if part == '01' else smalls}"
    return f"{opening}{words}{closing}"
