"""Runs espeak-ng as a separate program and reads back sound, word and phoneme times; used by `speak`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avatar.errors import InvalidInput, Unavailable
from avatar.spec import EspeakVoice
from avatar.speech.espeak_process import espeak_lines
from avatar.speech.markup import Script
from avatar.speech.pieces import Piece, split_pieces
from avatar.speech.wordtimes import WordEvent, phones_from_events, words_from_events
from avatar.tracks import SpeechNote, SpeechTrack

SECONDS_PER_CHARACTER = 0.01
SECONDS_PER_WORD = 0.05
"""Time limits: about a hundred times what a slow machine needs."""


@dataclass(frozen=True, slots=True)
class EspeakEvents:
    """The words and phonemes of the child process. Samples count from the start of the WAV."""

    rate_hz: int
    samples: int
    words: tuple[WordEvent, ...]
    phonemes: tuple[tuple[str, int], ...]
    piece_ends: tuple[int, ...]
    exact_language: bool = True


def espeak_language(language: str, voice: EspeakVoice) -> str:
    """The espeak-ng voice to ask for.

    The voice decides the accent, the scene's language what is read: `de` with an `en-us` voice is read in
    German. The scene's default, `en-us`, lets the voice decide.
    """
    language_code, named = _plain(language), _plain(voice.voice)
    if language_code in ("", "en-us") or language_code.split("-")[0] == named.split("-")[0]:
        return named
    return language_code


def _plain(language: str) -> str:
    name = language.strip().replace("_", "-").lower()
    return {"zh": "cmn", "zh-cn": "cmn", "zh-hans": "cmn", "zh-tw": "cmn", "no": "nb", "iw": "he"}.get(
        name, name
    )


def synthesise(
    script: Script,
    voice: EspeakVoice,
    language: str,
    pronunciation: dict[str, str],
    wav: Path,
    lead_in_ms: int,
    tail_ms: int,
) -> SpeechTrack:
    """Write `wav` and return its track.

    Raises Unavailable `speech.espeak_missing`, `speech.espeak_failed`, `speech.timeout`; InvalidInput
    `speech.unknown_language`, `speech.unknown_variant`.
    """
    name = espeak_language(language, voice)
    pieces, notes = split_pieces(script, pronunciation, name)
    events = _run(voice, name, pieces, wav, lead_in_ms, tail_ms)
    if not events.exact_language:
        main = name.partition("-")[0]
        notes.append(SpeechNote("speech.language_approximated", f"espeak-ng has no {name!r}, only {main!r}."))
    sound_begins = events.piece_ends[0]
    sound_ends = events.piece_ends[-2]
    phones = phones_from_events(events.phonemes, events.samples, events.rate_hz, sound_begins, sound_ends)
    words = words_from_events(pieces, events.words, phones, events.piece_ends, events.rate_hz)
    if not any(phone.ipa for phone in phones):
        raise InvalidInput(
            "speech.nothing_to_say",
            "The script holds nothing that this voice can say.",
            "Write words in the language of the scene.",
        )
    return SpeechTrack(
        wav=wav,
        sample_rate_hz=events.rate_hz,
        duration_ms=events.samples * 1000 // events.rate_hz,
        words=words,
        phones=phones,
        notes=(*script.notes, *notes),
        phone_source="engine",
    )


def read_aloud(words: Sequence[str], language: str) -> list[str]:
    """The IPA of each word, in order; raises as `synthesise` does."""
    name = espeak_language(language, EspeakVoice())
    readings: list[str] = []
    with closing(espeak_lines({"voice": name, "words": list(words)}, SECONDS_PER_WORD * len(words))) as lines:
        for line in lines:
            match line:
                case {"ipa": str(ipa)}:
                    readings.append(ipa)
    if len(readings) != len(words):
        raise Unavailable(
            "speech.espeak_failed", "espeak-ng stopped before it had read the words.", "Try again."
        )
    return readings


def _run(
    voice: EspeakVoice, name: str, pieces: tuple[Piece, ...], wav: Path, lead_in_ms: int, tail_ms: int
) -> EspeakEvents:
    request = {
        "voice": name,
        "variant": voice.variant,
        "rate_wpm": voice.rate_wpm,
        "pitch": voice.pitch,
        "pitch_range": voice.pitch_range,
        "wav": str(wav),
        "pieces": [{"silence_ms": lead_in_ms}, *map(_request, pieces), {"silence_ms": tail_ms}],
    }
    characters = sum(len(piece.text) for piece in pieces)
    rate_hz = samples = 0
    exact = True
    words: list[WordEvent] = []
    phonemes: list[tuple[str, int]] = []
    piece_ends: list[int] = []
    # Closed at once when somebody interrupts: the child must not go on writing.
    with closing(espeak_lines(request, SECONDS_PER_CHARACTER * characters)) as lines:
        for line in lines:
            match line:
                case {"p": [str(ipa), int(sample)]}:
                    phonemes.append((sys.intern(ipa), sample))
                case {"w": [int(piece), int(position), int(length), int(sample)]}:
                    words.append(WordEvent(piece - 1, position, length, sample))
                case {"e": [int(_), int(sample)]}:
                    piece_ends.append(sample)
                case {"rate": int(rate_hz)}:
                    pass
                case {"exact": bool(exact)}:
                    pass
                case {"done": int(samples)}:
                    pass
    if not samples:
        raise Unavailable(
            "speech.espeak_failed", "espeak-ng stopped before it had spoken the script.", "Try again."
        )
    return EspeakEvents(rate_hz, samples, tuple(words), tuple(phonemes), tuple(piece_ends), exact)


def _request(piece: Piece) -> dict[str, Any]:
    if not piece.text:
        return {"silence_ms": piece.pause_ms}
    return {"text": piece.text, "ssml": piece.ssml, "phonemes": piece.phonemes}
