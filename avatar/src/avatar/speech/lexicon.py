"""Pronunciations for forced alignment: CMU dictionary, then espeak-ng's reading, then a plain letter-to-sound
rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from avatar.errors import AvatarError
from avatar.speech.arpabet import IPA, Sound, ipa_to_sounds
from avatar.speech.espeak import read_aloud

Pronunciation = tuple[Sound, ...]

MAX_VARIANTS = 4
_PARTS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LETTERS = {
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH",
    "k": "K", "l": "L", "m": "M", "n": "N", "o": "OW", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T",
    "u": "UW", "v": "V", "w": "W", "x": "K S", "y": "IY", "z": "Z", "0": "Z IH R OW", "1": "W AH N",
    "2": "T UW", "3": "TH R IY", "4": "F AO R", "5": "F AY V", "6": "S IH K S", "7": "S EH V AH N",
    "8": "EY T", "9": "N AY N",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Words of a text to ways of saying them; `guessed` counts the words only the letter rule could read."""

    entries: dict[str, tuple[Pronunciation, ...]]
    guessed: int = 0

    def __getitem__(self, word: str) -> tuple[Pronunciation, ...]:
        return self.entries[word]


def build_lexicon(
    words: Iterable[str], language: str, pronunciation: dict[str, str], cmu_dictionary: Path
) -> Lexicon:
    """One entry for every distinct word of `words`, as written. Costs one pass over the dictionary file."""
    distinct = list(dict.fromkeys(words))
    by_word = {word.strip().casefold(): value.strip() for word, value in pronunciation.items()}
    entries: dict[str, tuple[Pronunciation, ...]] = {}
    spoken: dict[str, str] = {}
    for word in distinct:
        value = by_word.get(bare(word))
        if (
            value is not None
            and len(value) > 2
            and value[0] == value[-1] == "/"
            and (sounds := ipa_to_sounds(value[1:-1]))
        ):
            entries[word] = (sounds,)
        else:
            spoken[word] = value or word
    if language.lower().startswith("en"):
        entries |= _from_dictionary(spoken, cmu_dictionary)
    unknown = [word for word in distinct if word not in entries]
    entries |= _from_espeak(unknown, [spoken[word] for word in unknown], language)
    guessed = [word for word in unknown if word not in entries]
    for word in guessed:
        entries[word] = (_from_letters(spoken[word]),)
    return Lexicon(entries, len(guessed))


def bare(word: str) -> str:
    """A word without the punctuation around it, in lower case: the key of pronunciation dictionaries."""
    return re.sub(r"^\W+|\W+$", "", word).casefold()


def _from_dictionary(spoken: dict[str, str], dictionary: Path) -> dict[str, tuple[Pronunciation, ...]]:
    parts = {word: _PARTS.findall(text.casefold().replace("’", "'")) for word, text in spoken.items()}
    # Digits and signs are read by espeak-ng, never skipped.
    readable = {
        word: found
        for word, found in parts.items()
        if found and not re.search(r"[\d%&+@#€$£]|[^\x00-\u024f\u2010-\u2027]", spoken[word])
    }
    needed = {part for found in readable.values() for part in found}
    known: dict[str, list[Pronunciation]] = {}
    with dictionary.open(encoding="utf-8") as lines:
        for line in lines:
            name, *phones = line.split()
            name = name.partition("(")[0]
            if name in needed and len(known.setdefault(name, [])) < MAX_VARIANTS:
                known[name].append(tuple((phone, IPA[phone]) for phone in phones))
    entries: dict[str, tuple[Pronunciation, ...]] = {}
    for word, found in readable.items():
        if not all(part in known for part in found):
            continue
        if len(found) == 1:
            entries[word] = tuple(known[found[0]])
        else:
            entries[word] = (tuple(sound for part in found for sound in known[part][0]),)
    return entries


def _from_espeak(
    words: Sequence[str], spoken: Sequence[str], language: str
) -> dict[str, tuple[Pronunciation, ...]]:
    if not words:
        return {}
    try:
        readings = read_aloud(spoken, language)
    except AvatarError:
        # Without espeak-ng, or for a language it lacks, the letter rule reads every word; the aligner notes
        # it.
        return {}
    sounds = {word: ipa_to_sounds(ipa) for word, ipa in zip(words, readings, strict=True)}
    return {word: (found,) for word, found in sounds.items() if found}


def _from_letters(word: str) -> Pronunciation:
    plain = unicodedata.normalize("NFKD", word).casefold()
    names = [name for char in plain for name in _LETTERS.get(char, "").split()]
    return tuple((name, IPA[name]) for name in names) or (("AH", IPA["AH"]),)
