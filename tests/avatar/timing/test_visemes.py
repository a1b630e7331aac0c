"""Phonemes to mouth shapes: every sound of five languages has one, and sounds that look alike share it."""

from __future__ import annotations

from pathlib import Path

import pytest
from avatar.spec import Scene
from avatar.speech import speak
from avatar.timing.visemes import (
    BY_SYMBOL,
    REST,
    is_bilabial,
    is_labiodental,
    symbols,
    unknown_symbols,
    visemes,
)

# Every phoneme name that espeak-ng 1.51 gave for word lists and texts of these languages.
INVENTORIES = {
    "en-us": "aɪ aɪə aɪɚ aʊ aʊə b d dʒ eɪ f h i iə iː j k l m n oʊ oː oːɹ p r s t tʃ uː v w x z æ ð ŋ ɐ ɑː"
    " ɑːɹ ɑ̃ ɔ ɔɪ ɔː ɔːɹ ə əl ɚ ɛ ɛɹ ɜː ɡ ɪ ɪɹ ɹ ɾ ʃ ʊ ʊɹ ʌ ʒ ʔ θ ᵻ n̩",
    "de": "a aɪ aʊ b d dʒ eɪ eː f h i iː j k l m n oː p pf r s t ts tɕ tʃ u uː v w x y yː z ç øː ŋ œ ɑ ɑː ɑ̃ ɒ"
    " ɔ ɔø ɔ̃ ɕ ə əʊ ɛ ɛɪ ɛː ɜ ɡ ɪ ɲ ɹ ɾ ʃ ʊ ʌ ʑ ʒ ɐ ʏ",
    "fr": "a b d e ɛ f i j k l m n o ɔ p s t u v w y z ø œ ə ɑ̃ ɛ̃ ɔ̃ œ̃ ɡ ɥ ɲ ŋ ʁ ʃ ʒ tʃ dʒ iː uː aː",
    "es": "a aɪ aʊ b d dʒ e eɪ eʊ f i j k l m n o oɪ p r s t ts tʃ u w x ð ŋ ɛ ɟ ɡ ɣ ɲ ɾ ʎ ʝ β θ",
    "it": "a aɪ aʊ b d dz dʒ d̪ e eɪ f h i j k l m n o p r s ss t ts tʃ u v w z ŋ ɔ ɛ ɡ ɪ ɲ ɾ ʃ ʊ ʎ ʒ",
}

TEXTS = {
    "en-us": "The quick brown fox jumps over the lazy dog; she measures thin leather things and oily joys.",
    "de": "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich, ich auch, Tschüss, Journal.",
    "fr": "Portez ce vieux whisky au juge blond qui fume, un bon vin blanc, feuille, agneau, huit, garçon.",
    "es": "El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia; añoraba a su perro, la guerra.",
    "it": "Quel vituperabile xenofobo zelante assaggia il whisky ed esclama: alleluja, gnocchi, sciare.",
}


@pytest.mark.parametrize("language", INVENTORIES)
def test_every_phoneme_of_the_language_is_known(language: str) -> None:
    names = INVENTORIES[language].split()
    assert {name: unknown_symbols(name) for name in names if unknown_symbols(name)} == {}
    assert all(symbols(name) for name in names)


@pytest.mark.parametrize("language", TEXTS)
def test_every_phoneme_the_engine_emits_is_known(language: str, tmp_path: Path) -> None:
    speech = speak(Scene(id="s", script=TEXTS[language], language=language), tmp_path, lambda ref: Path())
    names = {phone.ipa for phone in speech.phones if phone.ipa}
    assert len(names) > 20
    assert {name for name in names if unknown_symbols(name)} == set()


def test_diphthongs_and_affricates_are_two_shapes_and_marks_are_none() -> None:
    assert [viseme.name for viseme in visemes("aɪ")] == ["a", "i lax"]
    assert [viseme.name for viseme in visemes("tʃ")] == ["t", "sh"]
    assert [viseme.name for viseme in visemes("ˈɔ̃ː")] == ["o open"]
    assert visemes("") == ()


def test_a_glottal_stop_or_a_mark_hardly_shows_and_an_unknown_letter_is_a_schwa() -> None:
    assert [viseme.name for viseme in visemes("??")] == ["h"]
    assert [viseme.name for viseme in visemes("ʲ")] == ["h"]
    assert [viseme.name for viseme in visemes("ꭓ")] == ["schwa"]


def test_lips_touch_for_exactly_the_sounds_that_need_it() -> None:
    assert {symbol for symbol, viseme in BY_SYMBOL.items() if is_bilabial(viseme)} == set("pbmɓʘʙ")
    assert {symbol for symbol, viseme in BY_SYMBOL.items() if is_labiodental(viseme)} == set("fvⱱʋɱ")


def test_shapes_differ_as_people_see_them() -> None:
    gap = lambda symbol: BY_SYMBOL[symbol].gap  # noqa: E731
    wide = lambda symbol: BY_SYMBOL[symbol].wide  # noqa: E731
    assert gap("a") > gap("ɛ") > gap("ə") > gap("i") > gap("s") > gap("f") > gap("m") > REST.gap == 0
    assert wide("i") > wide("ɛ") > wide("a") > wide("o") > wide("u")
    assert BY_SYMBOL["θ"].tongue > BY_SYMBOL["t"].tongue > BY_SYMBOL["k"].tongue == 0
