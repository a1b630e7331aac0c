"""Turns a parsed script into the texts espeak-ng is given, and remembers which characters belong to which
word.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from avatar.speech.markup import Script, Token
from avatar.speech.pronunciation import Respeller
from avatar.speech.spoken import in_words
from avatar.tracks import SpeechNote


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


def split_pieces(
    script: Script, pronunciation: dict[str, str], language: str
) -> tuple[tuple[Piece, ...], list[SpeechNote]]:
    """The pieces of a script, and notes for what the dictionary asks and espeak-ng cannot say."""
    notes: list[SpeechNote] = []
    respeller = Respeller(pronunciation, notes, phonemes_of=language)
    pieces: list[Piece] = []
    for passage in script.passages:
        if passage.tokens:
            pieces.append(_piece(passage.tokens, respeller, language))
        if passage.pause_ms:
            pieces.append(Piece(pause_ms=passage.pause_ms))
    return tuple(pieces), notes


def _piece(tokens: tuple[Token, ...], respeller: Respeller, language: str) -> Piece:
    ssml = any(_delivery(token) != _PLAIN for token in tokens)
    parts: list[str] = ["<speak>"] if ssml else []
    position = len("<speak>") if ssml else 0
    starts: list[int] = []
    delivery = _PLAIN
    respelled = [respeller.respell(token.text) for token in tokens]
    phonemes = any(has_phonemes for _, has_phonemes in respelled)
    for token, spoken in zip(tokens, in_words([text for text, _ in respelled], language), strict=True):
        part = escape(spoken) if ssml else spoken
        if _delivery(token) != delivery:
            part = _closing(*delivery) + _opening(*_delivery(token)) + part
            delivery = _delivery(token)
        starts.append(position)
        parts.append(part + " ")
        position += len(part) + 1
    if ssml:
        # Without </speak>: espeak-ng puts 0.35 s of silence behind it.
        parts.append(_closing(*delivery))
    return Piece("".join(parts), ssml=ssml, phonemes=phonemes, tokens=tokens, starts=tuple(starts))


_PLAIN = (False, 1.0, 0.0)


def _delivery(token: Token) -> tuple[bool, float, float]:
    return token.emphasis, token.rate * token.pace, token.semitones


def _opening(emphasised: bool, rate: float, semitones: float) -> str:
    values = "" if rate == 1.0 else f' rate="{100 * rate:.0f}%"'
    values += "" if semitones == 0.0 else f' pitch="{100 * (2 ** (semitones / 12) - 1):+.0f}%"'
    return (f"<prosody{values}>" if values else "") + ('<emphasis level="strong">' if emphasised else "")


def _closing(emphasised: bool, rate: float, semitones: float) -> str:
    is_changed = (rate, semitones) != (1.0, 0.0)
    return ("</emphasis>" if emphasised else "") + ("</prosody>" if is_changed else "")
