"""IPA to the phoneme names that espeak-ng reads inside [[ ]]; used for /IPA/ pronunciations."""

from __future__ import annotations

import unicodedata

_NAMES = {
    "aɪ": "aI", "aʊ": "aU", "eɪ": "eI", "ɔɪ": "OI", "oʊ": "oU", "əʊ": "oU", "tʃ": "tS", "dʒ": "dZ",
    "ɜː": "3:", "ɑː": "A:", "iː": "i:", "uː": "u:", "ɔː": "O:", "aː": "a:", "eː": "e:", "oː": "o:",
    "ɛː": "E:", "ɪ": "I", "i": "i", "ʊ": "U", "u": "u:", "e": "E", "ɛ": "E", "æ": "a", "a": "a", "ɑ": "A:",
    "ɒ": "0", "ɔ": "O:", "o": "oU", "ʌ": "V", "ə": "@", "ɚ": "3", "ɝ": "3:", "ɜ": "3:", "p": "p", "b": "b",
    "t": "t", "d": "d", "k": "k", "ɡ": "g", "g": "g", "f": "f", "v": "v", "θ": "T", "ð": "D", "s": "s",
    "z": "z", "ʃ": "S", "ʒ": "Z", "h": "h", "m": "m", "n": "n", "ŋ": "N", "l": "l", "ɫ": "l", "r": "r",
    "ɹ": "r", "ɾ": "t#", "w": "w", "j": "j", "x": "x", "ʔ": "?", "ˈ": "'", "ˌ": ",", ".": "", " ": "||",
    "'": "'",
}  # fmt: skip


def espeak_phonemes(ipa: str) -> str | None:
    """`həˈloʊ` -> `h@l'oU`; None when a symbol has no name that all of espeak-ng's languages share."""
    left = unicodedata.normalize("NFC", ipa.strip()).replace("͡", "").replace(":", "ː")
    names: list[str] = []
    while left:
        for length in (2, 1):
            if left[:length] in _NAMES:
                names.append(_NAMES[left[:length]])
                left = left[length:]
                break
        else:
            return None
    return "".join(names) or None
