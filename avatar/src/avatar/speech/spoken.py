"""Chooses how a language says what is written short: numbers with units, dates, money, abbreviations. Called
for every voice before it reads a text; captions keep the words as written.

Another language is one file of data (`LanguageForms`, as in `german_forms`) and its line here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from avatar.speech import spoken_english
from avatar.speech.german_forms import GERMAN
from avatar.speech.language_forms import LanguageForms

FORMS: Mapping[str, LanguageForms] = MappingProxyType({"de": GERMAN})


def in_words(words: Sequence[str], language: str) -> list[str]:
    """Returns what is said for each written word, as many as there are; in a language without tables they are
    returned as they are.
    """
    name = main_language(language)
    if name == "en":
        return spoken_english.in_words(words, language)
    forms = FORMS.get(name)
    return forms.in_words(words) if forms else list(words)


def main_language(language: str) -> str:
    """Returns `de` of `de-AT`; English where none is named."""
    return language.strip().lower().replace("_", "-").partition("-")[0] or "en"
