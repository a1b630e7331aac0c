"""Phonemes in the fifteen named mouth shapes that other avatars know; read by `avatar speak`."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from avatar.spec.speech_sheet import TimedViseme, VisemeName
from avatar.timing.visemes import symbols
from avatar.tracks import Phone

_SOUNDS: tuple[tuple[VisemeName, str], ...] = (
    ("PP", "p b m ɓ ʘ ʙ"),
    ("FF", "f v ⱱ ʋ ɱ"),
    ("TH", "θ ð"),
    ("DD", "t d ʈ ɖ ɗ ǀ ǃ"),
    ("kk", "k g ɡ x ɣ q ɢ χ ɠ ʛ h ɦ ħ ʕ ʔ ʜ ʢ c ɟ"),
    ("CH", "ʃ ʒ ʂ ʐ ɕ ʑ ɧ"),
    ("SS", "s z ɬ ɮ"),
    ("nn", "n ɳ ɲ ŋ ɴ l ɫ ɭ ʎ ʟ ǁ"),
    ("RR", "r ɹ ɻ ɾ ʀ ʁ ɽ ɺ ɜ ɝ ɚ ɞ"),
    ("aa", "a ɑ ɐ ɶ æ ʌ ɤ ə ɘ ɵ"),
    ("E", "ɛ ε e ø œ"),
    ("I", "i ɪ ɨ ᵻ j ç ʝ ǂ ʄ"),
    ("O", "ɒ ɔ o"),
    ("U", "ʊ ʉ u ɯ y ʏ w ʍ ɥ ɰ ɸ β"),
)
_NAMED: dict[str, VisemeName] = {symbol: name for name, sounds in _SOUNDS for symbol in sounds.split()}


def name_visemes(phones: Sequence[Phone], duration_ms: int) -> tuple[TimedViseme, ...]:
    """The shapes from 0 to `duration_ms` without gaps; equal neighbours are one.

    A phoneme of several sounds (diphthong, affricate) is divided evenly, as the mouth of our own faces is.
    """
    spans: list[tuple[VisemeName, int, int]] = []
    for phone in phones:
        shapes = viseme_names(phone.ipa)
        length = phone.end_ms - phone.start_ms
        for place, name in enumerate(shapes):
            start = phone.start_ms + length * place // len(shapes)
            spans.append((name, start, phone.start_ms + length * (place + 1) // len(shapes)))
    found: list[TimedViseme] = []
    at = 0

    def add(name: VisemeName, end: int) -> None:
        nonlocal at
        end = min(end, duration_ms)
        if end <= at:
            return
        if found and found[-1].viseme == name:
            found[-1] = found[-1].model_copy(update={"end_ms": end})
        else:
            found.append(TimedViseme(viseme=name, start_ms=at, end_ms=end))
        at = end

    for name, start, end in spans:
        add("sil", start)
        add(name, end)
    add("sil", duration_ms)
    return tuple(found)


def viseme_names(ipa: str) -> tuple[VisemeName, ...]:
    """The shapes of one phoneme in order; `sil` for silence, an open mouth for sounds that nobody knows."""
    if not ipa:
        return ("sil",)
    known = tuple(_NAMED[symbol] for symbol in symbols(ipa) if symbol in _NAMED)
    if known:
        return known
    letters = any(unicodedata.category(char).startswith("L") for char in ipa)
    return ("aa",) if letters else ("kk",)
