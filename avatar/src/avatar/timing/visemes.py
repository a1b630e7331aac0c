"""IPA to mouth shapes: which targets a phoneme has and how strongly it holds them; read by `coarticulation`.

After Cohen & Massaro (1993), "Modeling Coarticulation in Synthetic Visual Speech": each phoneme has targets
and a dominance per channel. The numbers are ours, set by eye on renderings.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from avatar.spec.speech_sheet import TimedViseme, VisemeName
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


@dataclass(frozen=True, slots=True)
class Viseme:
    """Targets of one class of sounds that look alike.

    gap: opening, 1 = widest; jaw_share: part of it that the jaw makes, the rest is the lower lip; wide: -1
    rounded to +1 spread; raise_lip, tuck, tongue: 0..1. hold_*: dominance of the gap, of the rounding, of
    tuck and tongue.
    """

    name: str
    gap: float
    jaw_share: float = 0.6
    wide: float = 0.0
    raise_lip: float = 0.0
    tuck: float = 0.0
    tongue: float = 0.0
    hold_gap: float = 1.0
    hold_wide: float = 1.0
    hold_tip: float = 1.0


def _vowel(name: str, gap: float, jaw_share: float, wide: float, hold: float = 1.0) -> Viseme:
    # Vowels open the mouth against the consonants around them, so they hold the gap more than the rounding.
    # Rounded ones round their neighbours too, or "two" would smile.
    rounds = 3.0 if wide < -0.4 else 1.0
    return Viseme(name, gap, jaw_share, wide, hold_gap=1.4 * hold, hold_wide=rounds * hold)


REST = Viseme("rest", 0.0, 0.6, hold_gap=1.2, hold_wide=0.6)
_A = _vowel("a", 1.0, 0.90, 0.0)
_AE = _vowel("ae", 0.78, 0.85, 0.4)
_O_OPEN = _vowel("o open", 0.72, 0.85, -0.6)
_O = _vowel("o", 0.55, 0.80, -0.75)
_UH = _vowel("uh", 0.62, 0.80, 0.05)
_E = _vowel("e", 0.52, 0.75, 0.45)
_E_CLOSE = _vowel("e close", 0.42, 0.65, 0.55)
_ER = _vowel("er", 0.42, 0.70, -0.3)
_I_LAX = _vowel("i lax", 0.36, 0.60, 0.4)
_SCHWA = _vowel("schwa", 0.38, 0.70, 0.0, hold=0.6)
_I = _vowel("i", 0.30, 0.50, 0.75)
_U_LAX = _vowel("u lax", 0.34, 0.60, -0.65)
_U = _vowel("u", 0.30, 0.50, -0.95)
_Y = _vowel("y", 0.28, 0.45, -0.85)
_OE = _vowel("oe", 0.45, 0.70, -0.65)
_W = Viseme("w", 0.16, 0.5, -0.9, hold_gap=1.8, hold_wide=4.0)
_R = Viseme("r", 0.24, 0.5, -0.4, raise_lip=0.1, hold_gap=0.9, hold_wide=0.9)
_SH = Viseme("sh", 0.24, 0.25, -0.5, raise_lip=0.35, hold_gap=1.5, hold_wide=1.4)
_S = Viseme("s", 0.16, 0.25, 0.3, raise_lip=0.3, hold_gap=1.6, hold_wide=0.8)
_F = Viseme("f", 0.08, 0.30, 0.1, raise_lip=0.55, tuck=1.0, hold_gap=4.0, hold_wide=0.8, hold_tip=4.0)
_TH = Viseme("th", 0.32, 0.50, 0.1, tongue=0.9, hold_gap=1.4, hold_tip=2.0, hold_wide=0.6)
_T = Viseme("t", 0.24, 0.45, 0.1, raise_lip=0.1, tongue=0.6, hold_gap=1.0, hold_wide=0.4, hold_tip=1.2)
_L = Viseme("l", 0.36, 0.60, 0.05, tongue=0.7, hold_gap=1.0, hold_wide=0.4, hold_tip=1.2)
_K = Viseme("k", 0.26, 0.60, 0.0, hold_gap=0.7, hold_wide=0.3)
_H = Viseme("h", 0.30, 0.70, 0.0, hold_gap=0.3, hold_wide=0.2)
_J = Viseme("j", 0.26, 0.45, 0.55, hold_gap=0.9, hold_wide=0.9)
# The lips shut by themselves (`coarticulation.closures`): these are the targets of the jaw behind them.
_P = Viseme("p", 0.02, 0.60, 0.0, hold_gap=6.0, hold_wide=3.0, hold_tip=2.0)

VISEMES: tuple[Viseme, ...] = (
    REST, _A, _AE, _O_OPEN, _O, _UH, _E, _E_CLOSE, _ER, _I_LAX, _SCHWA, _I, _U_LAX, _U, _Y, _OE, _W, _R, _SH,
    _S, _F, _TH, _T, _L, _K, _H, _J, _P,
)  # fmt: skip

_CLASSES: tuple[tuple[Viseme, str], ...] = (
    (_A, "a ɑ ɐ ɶ"),
    (_AE, "æ"),
    (_O_OPEN, "ɒ ɔ"),
    (_O, "o"),
    (_UH, "ʌ ɤ"),
    (_E, "ɛ ε"),
    (_E_CLOSE, "e"),
    (_ER, "ɜ ɝ ɚ ɞ"),
    (_I_LAX, "ɪ ɨ ᵻ"),
    (_SCHWA, "ə ɘ ɵ"),
    (_I, "i"),
    (_U_LAX, "ʊ ʉ"),
    (_U, "u ɯ"),
    (_Y, "y ʏ"),
    (_OE, "ø œ"),
    # ɸ, β bring the lips together but let air through; ɱ is made with the lower lip at the teeth.
    (_W, "w ʍ ɥ ɰ ɸ β"),
    (_R, "r ɹ ɻ ɾ ʀ ʁ ɽ ɺ"),
    (_SH, "ʃ ʒ ʂ ʐ ɕ ʑ ɧ"),
    (_S, "s z ɬ ɮ"),
    (_F, "f v ⱱ ʋ ɱ"),
    (_TH, "θ ð"),
    (_T, "t d n ʈ ɖ ɳ ǀ ǃ ɗ"),
    (_L, "l ɫ ɭ ʎ ʟ ǁ"),
    (_K, "k g ɡ ŋ x ɣ q ɢ χ ɴ ɠ ʛ"),
    (_H, "h ɦ ħ ʕ ʔ ʜ ʢ"),
    (_J, "j ç ʝ c ɟ ɲ ǂ ʄ"),
    (_P, "p b m ɓ ʘ ʙ"),
)
BY_SYMBOL: dict[str, Viseme] = {symbol: viseme for viseme, symbols in _CLASSES for symbol in symbols.split()}


def symbols(ipa: str) -> tuple[str, ...]:
    """The sounds of a phoneme name: `aɪ` is two, `tʃ` is two, `ˈɔ̃ː` is one. Marks that do not show are
    dropped.
    """
    bare = unicodedata.normalize("NFD", ipa)
    return tuple(char for char in bare if char in BY_SYMBOL)


def unknown_symbols(ipa: str) -> tuple[str, ...]:
    """Letters that no class holds; the mouth then makes a schwa."""
    bare = unicodedata.normalize("NFD", ipa)
    return tuple(
        char for char in bare if unicodedata.category(char) in ("Ll", "Lo") and char not in BY_SYMBOL
    )


@lru_cache(maxsize=4096)
def visemes(ipa: str) -> tuple[Viseme, ...]:
    """Mouth shapes of one phoneme in order; () for silence."""
    if not ipa:
        return ()
    shapes = tuple(BY_SYMBOL[symbol] for symbol in symbols(ipa))
    if shapes:
        return shapes
    # Letters nobody knows are most likely vowels; marks alone (a glottal stop, a palatal glide) hardly show.
    return (_SCHWA,) if unknown_symbols(ipa) else (_H,)


def is_bilabial(viseme: Viseme) -> bool:
    """The lips touch."""
    return viseme is _P


def is_labiodental(viseme: Viseme) -> bool:
    """The lower lip touches the upper teeth."""
    return viseme is _F


def name_visemes(phones: Sequence[Phone], duration_ms: int) -> tuple[TimedViseme, ...]:
    """The shapes from 0 to `duration_ms` without gaps; equal neighbours are one.

    A phoneme of several sounds (diphthong, affricate) is divided evenly, as the mouth of our own faces is.
    """
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

    for phone in phones:
        shapes = viseme_names(phone.ipa)
        length = phone.end_ms - phone.start_ms
        for place, name in enumerate(shapes):
            add("sil", phone.start_ms + length * place // len(shapes))
            add(name, phone.start_ms + length * (place + 1) // len(shapes))
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
