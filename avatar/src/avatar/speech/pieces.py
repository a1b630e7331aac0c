"""Turns a parsed script into the texts espeak-ng is given, and remembers which characters belong to which word."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from avatar.speech.ipa_espeak import espeak_phonemes
from avatar.speech.markup import Script, Token
from avatar.tracks import SpeechNote

ABBREVIATIONS = frozenset(
    {"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "vs.", "jr.", "sr.", "etc.", "no.", "approx."}
)
"""English words whose full stop would end the sentence for espeak-ng."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One text for the engine, or (empty `text`) a silence of `pause_ms`.

    starts: position in `text`, in characters, of each token.
    """

    text: str = ""
    pause_ms: int = 0
    ssml: bool = False
    phonemes: bool = False
    tokens: tuple[Token, ...] = ()
    starts: tuple[int, ...] = field(default=(), repr=False)

    def token_at(self, position: int) -> int:
        """Index of the token that holds the character, or of the last one before it."""
        return max(0, bisect.bisect_right(self.starts, position) - 1)


def spoken_pieces(
    script: Script, pronunciation: dict[str, str], language: str
) -> tuple[tuple[Piece, ...], list[SpeechNote]]:
    """The pieces of a script, and notes for what the dictionary asks and espeak-ng cannot say."""
    notes: list[SpeechNote] = []
    dictionary = _Dictionary(pronunciation, notes)
    english = language.lower().startswith("en")
    pieces: list[Piece] = []
    for passage in script.passages:
        if passage.tokens:
            pieces.append(_piece(passage.tokens, dictionary, english))
        if passage.pause_ms:
            pieces.append(Piece(pause_ms=passage.pause_ms))
    return tuple(pieces), notes


def _piece(tokens: tuple[Token, ...], dictionary: _Dictionary, english: bool) -> Piece:
    ssml = any(token.emphasis for token in tokens)
    phonemes = False
    parts: list[str] = ["<speak>"] if ssml else []
    position = len("<speak>") if ssml else 0
    starts: list[int] = []
    emphasised = False
    for token in tokens:
        spoken, has_phonemes = dictionary.spoken(token.text)
        if english and not has_phonemes and spoken.lower() in ABBREVIATIONS:
            spoken = spoken[:-1]
        phonemes = phonemes or has_phonemes
        part = escape(spoken) if ssml else spoken
        if token.emphasis != emphasised:
            part = ('<emphasis level="strong">' if token.emphasis else "</emphasis>") + part
            emphasised = token.emphasis
        starts.append(position)
        parts.append(part + " ")
        position += len(part) + 1
    if ssml:
        parts.append("</emphasis></speak>" if emphasised else "</speak>")
    return Piece("".join(parts), ssml=ssml, phonemes=phonemes, tokens=tokens, starts=tuple(starts))


class _Dictionary:
    """The scene's pronunciations: word -> respelling or /IPA/, matched without regard to case, as whole words."""

    def __init__(self, pronunciation: dict[str, str], notes: list[SpeechNote]) -> None:
        self._said: dict[str, tuple[str, bool]] = {}
        for word, value in pronunciation.items():
            said = self._say(word, value.strip(), notes)
            if said is not None:
                self._said[word.strip().casefold()] = said
        names = sorted(map(re.escape, self._said), key=len, reverse=True)
        self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(names)})(?!\w)", re.IGNORECASE) if names else None

    def _say(self, word: str, value: str, notes: list[SpeechNote]) -> tuple[str, bool] | None:
        if not word.strip() or not value or any(char.isspace() for char in word.strip()):
            notes.append(
                SpeechNote(
                    "speech.pronunciation_unsupported",
                    f"The pronunciation of {word!r} is not used: one word, one value.",
                )
            )
            return None
        if not (len(value) > 2 and value.startswith("/") and value.endswith("/")):
            return value, False
        phonemes = espeak_phonemes(value[1:-1])
        if phonemes is None:
            notes.append(
                SpeechNote(
                    "speech.pronunciation_unsupported",
                    f"espeak-ng cannot say {value} for {word!r}: the word is read as written.",
                )
            )
            return None
        return f"[[{phonemes}]]", True

    def spoken(self, written: str) -> tuple[str, bool]:
        """What to give the engine for a word, and whether it holds phoneme names."""
        has_phonemes = False

        def replace(match: re.Match[str]) -> str:
            nonlocal has_phonemes
            value, phonemes = self._said[match.group().casefold()]
            has_phonemes = has_phonemes or phonemes
            return value

        # People's own [[ would be read as phoneme names.
        plain = written.replace("[[", "[ [")
        return (self._pattern.sub(replace, plain) if self._pattern else plain), has_phonemes
