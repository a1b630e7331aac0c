"""IPA to the phoneme names that espeak-ng reads inside [[ ]]; used for /IPA/ pronunciations."""

from __future__ import annotations

import unicodedata

NAMES = {
    "aɪ": "aI", "aʊ": "aU", "eɪ": "eI", "ɔɪ": "OI", "oʊ": "oU", "əʊ": "oU", "tʃ": "tS", "dʒ": "dZ",
    "ɜː": "3:", "ɑː": "A:", "iː": "i:", "uː": "u:", "ɔː": "O:", "aː": "a:", "eː": "e:", "oː": "o:",
    "ɛː": "E:", "ɪ": "I", "i": "i", "ʊ": "U", "u": "u:", "e": "E", "ɛ": "E", "æ": "a", "a": "a",
    "ɑ": "A:", "ɒ": "0", "ɔ": "O:", "o": "oU", "ʌ": "V", "ə": "@", "ɚ": "3", "ɝ": "3:", "ɜ": "3:",
    "p": "p", "b": "b", "t": "t", "d": "d", "k": "k", "ɡ": "g", "g": "g", "f": "f", "v": "v", "θ": "T",
    "ð": "D", "s": "s", "z": "z", "ʃ": "S", "ʒ": "Z", "h": "h", "m": "m", "n": "n", "ŋ": "N", "l": "l",
    "ɫ": "l", "r": "r", "ɹ": "r", "ɾ": "t#", "w": "w", "j": "j", "x": "x", "ʔ": "?", "ç": "C", "ɲ": "n^",
    "ʎ": "l^", "β": "B", "ɣ": "Q", "ɕ": "S;", "ʁ": "r", "ˈ": "'", "ˌ": ",", ".": "", " ": "||", "'": "'",
}  # fmt: skip


# Sounds of English that other languages' phoneme tables lack; an unknown name would be silent.
NAMES_ELSEWHERE = {
    "aɪ": "ai", "aʊ": "au", "eɪ": "ei", "ɔɪ": "Oi", "oʊ": "ou", "əʊ": "ou", "ɜː": "E", "ɑː": "a:",
    "ɪ": "i", "ʊ": "u", "u": "u", "uː": "u", "o": "o", "oː": "o", "iː": "i", "eː": "e", "ɛː": "E",
    "ɔː": "O", "e": "e", "æ": "a", "ɑ": "a", "ɒ": "O", "ʌ": "a", "ɚ": "@", "ɝ": "E", "ɜ": "E", "ɾ": "r",
    "y": "y", "yː": "y:", "ʏ": "y", "ø": "Y:", "øː": "Y:", "œ": "Y:",
}  # fmt: skip


def espeak_phonemes(ipa: str, language: str) -> str | None:
    """`həˈloʊ` -> `h@l'oU`; None when a symbol has no name in espeak-ng."""
    names = NAMES if language.startswith("en") else NAMES | NAMES_ELSEWHERE
    left = unicodedata.normalize("NFC", ipa.strip()).replace("\u0361", "").replace(":", "ː")
    found: list[str] = []
    while left:
        length = next((size for size in (2, 1) if left[:size] in names), 0)
        if length == 0:
            return None
        found.append(names[left[:length]])
        left = left[length:]
    return "".join(found) or None
