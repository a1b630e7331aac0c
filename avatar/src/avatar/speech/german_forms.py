"""German: what is written short, and how it is said in full. Data of `language_forms`."""

from __future__ import annotations

import re

from avatar.speech.language_forms import LanguageForms

_WORDS = {
    "dr.": "Doktor", "prof.": "Professor", "hr.": "Herr", "hrn.": "Herrn", "fr.": "Frau", "dipl.": "Diplom",
    "ing.": "Ingenieur", "st.": "Sankt", "str.": "Straße", "tel.": "Telefon", "ca.": "circa",
    "bzw.": "beziehungsweise", "usw.": "und so weiter", "etc.": "et cetera", "evtl.": "eventuell",
    "ggf.": "gegebenenfalls", "inkl.": "inklusive", "exkl.": "exklusive", "zzgl.": "zuzüglich",
    "max.": "maximal", "mind.": "mindestens", "vgl.": "vergleiche", "sog.": "sogenannte", "bspw.":
    "beispielsweise", "vs.": "gegen", "geb.": "geboren", "gest.": "gestorben", "jh.": "Jahrhundert",
    "jan.": "Januar", "feb.": "Februar", "apr.": "April", "aug.": "August", "sept.": "September",
    "okt.": "Oktober", "nov.": "November", "dez.": "Dezember",
    "i.a.": "im Auftrag",
}  # fmt: skip
_DOTTED = {
    "z.b.": "zum Beispiel", "d.h.": "das heißt", "u.a.": "unter anderem", "z.t.": "zum Teil",
    "i.d.r.": "in der Regel", "v.a.": "vor allem", "u.u.": "unter Umständen", "o.ä.": "oder Ähnliches",
    "s.o.": "siehe oben", "s.u.": "siehe unten", "v.chr.": "vor Christus", "n.chr.": "nach Christus",
    "m.e.": "meines Erachtens",
}  # fmt: skip
"""People write these with spaces in between, too."""
_DAYS = (
    "erste", "zweite", "dritte", "vierte", "fünfte", "sechste", "siebte", "achte", "neunte", "zehnte",
    "elfte", "zwölfte", "dreizehnte", "vierzehnte", "fünfzehnte", "sechzehnte", "siebzehnte", "achtzehnte",
    "neunzehnte", "zwanzigste", "einundzwanzigste", "zweiundzwanzigste", "dreiundzwanzigste",
    "vierundzwanzigste", "fünfundzwanzigste", "sechsundzwanzigste", "siebenundzwanzigste",
    "achtundzwanzigste", "neunundzwanzigste", "dreißigste", "einunddreißigste",
)  # fmt: skip
_DATIVE = (
    "am",
    "vom",
    "zum",
    "zur",
    "dem",
    "den",
    "des",
    "im",
    "bis",
    "ab",
    "seit",
    "beim",
    "einem",
    "einer",
)
_PREPOSITIONS = ("in", "an", "auf", "mit", "von", "vor", "nach", "bei", "zu", "aus", "seit", "ab", "während")
_UNITS = {
    "km/h": ("Kilometer pro Stunde",) * 2, "m/s": ("Meter pro Sekunde",) * 2,
    "km²": ("Quadratkilometer",) * 2, "m²": ("Quadratmeter",) * 2, "qm": ("Quadratmeter",) * 2,
    "cm²": ("Quadratzentimeter",) * 2, "m³": ("Kubikmeter",) * 2, "cm³": ("Kubikzentimeter",) * 2,
    "km": ("Kilometer",) * 2, "m": ("Meter",) * 2, "cm": ("Zentimeter",) * 2, "mm": ("Millimeter",) * 2,
    "kg": ("Kilogramm",) * 2, "g": ("Gramm",) * 2, "mg": ("Milligramm",) * 2, "t": ("Tonne", "Tonnen"),
    "l": ("Liter",) * 2, "ml": ("Milliliter",) * 2, "kw": ("Kilowatt",) * 2,
    "kwh": ("Kilowattstunde", "Kilowattstunden"), "w": ("Watt",) * 2, "v": ("Volt",) * 2,
    "hz": ("Hertz",) * 2, "khz": ("Kilohertz",) * 2, "mhz": ("Megahertz",) * 2, "ghz": ("Gigahertz",) * 2,
    "kb": ("Kilobyte",) * 2, "mb": ("Megabyte",) * 2, "gb": ("Gigabyte",) * 2, "tb": ("Terabyte",) * 2,
    "ms": ("Millisekunde", "Millisekunden"), "s": ("Sekunde", "Sekunden"), "h": ("Stunde", "Stunden"),
    "°c": ("Grad Celsius",) * 2, "°f": ("Grad Fahrenheit",) * 2, "°": ("Grad",) * 2,
}  # fmt: skip
_EURO = ("Euro", "Euro", "Cent", "Cent")
_WEEKDAYS = {
    "mo.": "Montag", "di.": "Dienstag", "mi.": "Mittwoch", "do.": "Donnerstag", "fr.": "Freitag",
    "sa.": "Samstag", "so.": "Sonntag",
}  # fmt: skip
_HUNDREDS = {
    "11": "elfhundert", "12": "zwölfhundert", "13": "dreizehnhundert", "14": "vierzehnhundert",
    "15": "fünfzehnhundert", "16": "sechzehnhundert", "17": "siebzehnhundert", "18": "achtzehnhundert",
    "19": "neunzehnhundert",
}  # fmt: skip

GERMAN = LanguageForms(
    decimal=",",
    thousands=".",
    words=_WORDS | _DOTTED,
    phrases={tuple(re.findall(r"\w+\.", short)): tuple(full.split()) for short, full in _DOTTED.items()},
    before_numbers={
        "nr.": "Nummer", "s.": "Seite", "abb.": "Abbildung", "kap.": "Kapitel", "bd.": "Band",
        "art.": "Artikel", "abs.": "Absatz", "tab.": "Tabelle", "§": "Paragraf", "§§": "Paragrafen",
    },
    after_numbers={
        "mio.": "Millionen", "mrd.": "Milliarden", "tsd.": "Tausend", "min.": "Minuten", "std.": "Stunden",
        "sek.": "Sekunden", "stk.": "Stück",
    },
    units=_UNITS,
    currencies={
        "€": _EURO, "eur": _EURO, "$": ("Dollar", "Dollar", "Cent", "Cent"),
        "£": ("Pfund", "Pfund", "Penny", "Pence"), "chf": ("Franken", "Franken", "Rappen", "Rappen"),
    },
    months=(
        "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
        "November", "Dezember",
    ),
    weekdays=_WEEKDAYS,
    days=_DAYS,
    day_endings={
        "": "r", "der": "", "die": "", "das": "", "eine": "", "ein": "s",
        **dict.fromkeys(_DATIVE, "n"),
        **{f"{preposition} der": "n" for preposition in _PREPOSITIONS},
    },
    ordinal_nouns=frozenset(
        ["Jahrhundert", "Jahrhunderts", "Jahrestag", "Geburtstag", "Platz", "Tag", "Woche", "Mal", "Auflage",
         "Stock", "Etage", "Klasse", "Kapitel", "Lebensjahr", "Weltkrieg", "Runde", "Minute"]
    ),
    hour="Uhr",
    to="bis",
    per="pro",
    minus="minus",
    percent="Prozent",
    fractions={
        "1/2": "ein halb", "½": "ein halb", "1/3": "ein Drittel", "2/3": "zwei Drittel",
        "1/4": "ein Viertel", "3/4": "drei Viertel", "¼": "ein Viertel", "¾": "drei Viertel",
        "⅓": "ein Drittel", "⅔": "zwei Drittel",
    },
    signs={"&": "und", "+": "plus", "=": "gleich", "@": "at", "→": "nach", "×": "mal", "24/7": "24 7"},
    hundreds=_HUNDREDS,
    endings=frozenset(["usw.", "etc.", "str.", "ä.", "o.ä.", "chr.", "v.chr.", "n.chr.", "jh."]),
    suffixes={"str.": "straße"},
)  # fmt: skip
