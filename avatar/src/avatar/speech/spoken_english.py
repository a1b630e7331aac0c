"""Writes out abbreviations, money and units as English words; captions keep them as written. Used by flite,
which reads numbers, times and most dates by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

WORDS = {
    "prof.": "professor", "dr.": "doctor", "mr.": "mister", "mrs.": "missis", "ms.": "miz",
    "rev.": "reverend", "gen.": "general", "capt.": "captain", "sgt.": "sergeant",
    "jr.": "junior", "sr.": "senior",
    "rd.": "road", "ave.": "avenue", "blvd.": "boulevard", "apt.": "apartment", "dept.": "department",
    "mt.": "mount", "ft.": "feet", "vs.": "versus", "vs": "versus", "approx.": "approximately",
    "etc.": "et cetera", "e.g.": "for example", "i.e.": "that is", "a.m.": "A M", "p.m.": "P M",
    "inc.": "incorporated", "ltd.": "limited", "co.": "company", "min.": "minutes", "max.": "maximum",
    "jan.": "January", "feb.": "February", "aug.": "August", "sept.": "September", "oct.": "October",
    "nov.": "November", "dec.": "December",
}  # fmt: skip
UNITS = {
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
_QUANTITY = re.compile(r"^(\W*)(-?\d[\d,.]*)\s?([a-z°/]+)(\W*)$", re.IGNORECASE)
_NUMBER = re.compile(r"^\W*-?\d[\d,]*(?:\.\d+)?$")
_SIGNS = {"&": "and", "+": "plus", "=": "equals", "@": "at", "→": "to", "×": "times"}


def in_words(words: Sequence[str]) -> list[str]:
    """Returns what is said for each written word; a word that needs nothing is returned as it is."""
    return [_in_words(words, place) for place in range(len(words))]


def is_abbreviation(word: str) -> bool:
    """Returns whether the full stop of a word belongs to it."""
    return (
        word.lower() in WORDS
        or word.lower() in ("st.", "no.")
        or re.fullmatch(r"(?:\w\.)+", word) is not None
    )


def _in_words(words: Sequence[str], place: int) -> str:
    word = words[place]
    before = words[place - 1] if place else ""
    following = words[place + 1] if place + 1 < len(words) else ""
    lower = word.lower()
    if lower in ("st.", "st.,"):
        # “St. Paul” is a saint, “Elm St.” a street.
        is_name = following[:1].isupper() and not before[:1].isupper()
        return ("saint" if is_name else "street") + lower[3:]
    if lower == "no." and following[:1].isdigit():
        return "number"
    if (amount := _MONEY.match(before)) and amount[2] != "$" and re.fullmatch(rf"{_SCALES}\W*", lower):
        end = word.rstrip(".,;:!?)")
        return f"{end} {CURRENCIES[amount[2]][1]}{word[len(end) :]}"
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
