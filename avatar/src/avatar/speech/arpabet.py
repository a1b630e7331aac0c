"""ARPABET, the aligner's phoneme names, to IPA and back; used by `lexicon` and `recognise`."""

from __future__ import annotations

import unicodedata

IPA: dict[str, str] = {
    "AA": "ɑː", "AE": "æ", "AH": "ʌ", "AO": "ɔː", "AW": "aʊ", "AY": "aɪ", "B": "b", "CH": "tʃ", "D": "d",
    "DH": "ð", "EH": "ɛ", "ER": "ɝ", "EY": "eɪ", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "iː",
    "JH": "dʒ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ",
    "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "UH": "ʊ", "UW": "uː", "V": "v", "W": "w", "Y": "j", "Z": "z",
    "ZH": "ʒ",
}  # fmt: skip

_NEAREST: dict[str, str] = {
    "aɪ": "AY", "aʊ": "AW", "eɪ": "EY", "ɔɪ": "OY", "oɪ": "OY", "oʊ": "OW", "əʊ": "OW", "tʃ": "CH",
    "dʒ": "JH", "tɕ": "CH", "dʑ": "JH", "ɔø": "OY", "ɔʏ": "OY", "ɛɪ": "EY", "ts": "T S", "pf": "P F",
    "dz": "D Z", "a": "AA", "ɑ": "AA", "ɐ": "AH", "æ": "AE", "ɒ": "AO", "ɔ": "AO", "o": "OW", "ʌ": "AH",
    "ɤ": "AH", "ɛ": "EH", "e": "EY", "ɜ": "ER", "ɝ": "ER", "ɚ": "ER", "ɞ": "ER", "ɪ": "IH", "ɨ": "IH",
    "ᵻ": "IH", "ə": "AH", "ɘ": "AH", "ɵ": "AH", "i": "IY", "ʊ": "UH", "ʉ": "UW", "u": "UW", "ɯ": "UW",
    "y": "UW", "ʏ": "UH", "ø": "ER", "œ": "ER", "w": "W", "ʍ": "W", "ɥ": "W", "r": "R", "ɹ": "R", "ɻ": "R",
    "ɾ": "D", "ʀ": "R", "ʁ": "R", "ʃ": "SH", "ʒ": "ZH", "ʂ": "SH", "ʐ": "ZH", "ɕ": "SH", "ʑ": "ZH", "s": "S",
    "z": "Z", "f": "F", "v": "V", "ʋ": "V", "θ": "TH", "ð": "DH", "t": "T", "d": "D", "n": "N", "ʈ": "T",
    "ɖ": "D", "ɳ": "N", "l": "L", "ɫ": "L", "ɭ": "L", "ʎ": "L Y", "k": "K", "g": "G", "ɡ": "G", "ŋ": "NG",
    "x": "K", "ɣ": "G", "q": "K", "χ": "K", "h": "HH", "ɦ": "HH", "ħ": "HH", "j": "Y", "ç": "SH", "ʝ": "Y",
    "c": "K", "ɟ": "G", "ɲ": "N Y", "p": "P", "b": "B", "m": "M", "β": "V", "ɸ": "F", "ɱ": "M", "ɬ": "L",
}  # fmt: skip

Sound = tuple[str, str]
"""(ARPABET, IPA) of one sound."""


def ipa_to_sounds(ipa: str) -> tuple[Sound, ...]:
    """Nearest English sounds of an IPA word, each with the IPA it stands for; marks without a sound are
    dropped.
    """
    bare = "".join(
        char
        for char in unicodedata.normalize("NFC", ipa)
        if unicodedata.category(char) in ("Ll", "Lo") or char in _NEAREST
    )
    sounds: list[Sound] = []
    at = 0
    while at < len(bare):
        for length in (2, 1):
            part = bare[at : at + length]
            if part in _NEAREST and len(part) == length:
                names = _NEAREST[part].split()
                # Two names for one letter pair share its letters; one letter with two names keeps it on the
                # first.
                pieces = list(part) if len(names) == len(part) else [part, *[IPA[name] for name in names[1:]]]
                sounds += zip(names, pieces, strict=True)
                at += length
                break
        else:
            at += 1
    return tuple(sounds)
