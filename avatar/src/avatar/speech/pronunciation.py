"""The scene's pronunciation dictionary, applied to the words an engine is given; the words as written stay as
they are.
"""

from __future__ import annotations

import re
import unicodedata

from avatar.tracks import SpeechNote

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


class Respeller:
    """Word -> respelling or /IPA/, matched without regard to case, as whole words, also inside "GPU-based".

    phonemes_of: the language whose espeak-ng [[phoneme names]] the engine reads; None turns /IPA/ into notes.
    """

    def __init__(
        self, pronunciation: dict[str, str], notes: list[SpeechNote], *, phonemes_of: str | None
    ) -> None:
        self._notes, self._phonemes_of = notes, phonemes_of
        self._respellings: dict[str, tuple[str, bool]] = {}
        for word, value in pronunciation.items():
            respelling = self._say(word.strip(), value.strip())
            if respelling is not None:
                self._respellings[word.strip().casefold()] = respelling
        names = sorted(map(re.escape, self._respellings), key=len, reverse=True)
        self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(names)})(?!\w)", re.IGNORECASE) if names else None

    def respell(self, written: str) -> tuple[str, bool]:
        """Returns the spelling for the engine, and whether it holds phoneme names."""
        has_phonemes = False

        def replace(match: re.Match[str]) -> str:
            nonlocal has_phonemes
            value, phonemes = self._respellings.get(match.group().casefold(), (match.group(), False))
            has_phonemes = has_phonemes or phonemes
            return value

        # People's own [[ would be read as phoneme names.
        plain = written.replace("[[", "[ [") if self._phonemes_of else written
        return (self._pattern.sub(replace, plain) if self._pattern else plain), has_phonemes

    def _say(self, word: str, value: str) -> tuple[str, bool] | None:
        if not word or not value or any(char.isspace() for char in word):
            self._note(f"The pronunciation of {word!r} is not used: it needs one word and one value.")
            return None
        if not is_ipa(value):
            return value, False
        if self._phonemes_of is None:
            self._note(f"This voice cannot read IPA: {word!r} is read as written; respell it in letters.")
            return None
        names = espeak_phonemes(value[1:-1], self._phonemes_of)
        if names is None:
            self._note(f"espeak-ng has no sounds for {value}: {word!r} is read as written.")
            return None
        return f"[[{names}]]", True

    def _note(self, sentence: str) -> None:
        self._notes.append(SpeechNote("speech.pronunciation_unsupported", sentence))


def is_ipa(value: str) -> bool:
    """`/…/` holds IPA; everything else is a respelling."""
    return len(value) > 2 and value.startswith("/") and value.endswith("/")


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
