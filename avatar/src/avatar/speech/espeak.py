"""Runs espeak-ng as a separate program and reads back sound, word and phoneme times; used by `speak`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from avatar.errors import AvatarError, InvalidInput, Unavailable
from avatar.spec import EspeakVoice
from avatar.speech.engine_child import Engine, engine_lines, read_events
from avatar.speech.markup import Script, SpeechTask
from avatar.speech.pieces import Piece, split_pieces
from avatar.speech.wordtimes import Events, track_from_events
from avatar.tracks import SpeechNote, SpeechTrack

SECONDS_PER_CHARACTER = 0.01
SECONDS_PER_WORD = 0.05
"""Time limits: about a hundred times what a slow machine needs."""
CHILD = Path(__file__).with_name("espeak_child.py")
INSTALL_HINT = "apt-get install espeak-ng"


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


def synthesise(script: Script, voice: EspeakVoice, task: SpeechTask) -> SpeechTrack:
    """Write the WAV and return its track.

    Raises Unavailable `speech.espeak_missing`, `speech.espeak_failed`, `speech.timeout`; InvalidInput
    `speech.unknown_language`, `speech.unknown_variant`.
    """
    name = espeak_language(task.language, voice)
    pieces, notes = split_pieces(script, task.pronunciation, name)
    events = _run(voice, name, pieces, task)
    if not events.exact_language:
        main = name.partition("-")[0]
        notes.append(SpeechNote("speech.language_approximated", f"espeak-ng has no {name!r}, only {main!r}."))
    track = track_from_events(task.wav, events.rate_hz, pieces, events, (*script.notes, *notes))
    if not any(phone.ipa for phone in track.phones):
        raise nothing_to_say()
    return track


def read_aloud(words: Sequence[str], language: str) -> list[str]:
    """The IPA of each word, in order; raises as `synthesise` does."""
    name = espeak_language(language, EspeakVoice())
    readings: list[str] = []
    with closing(
        engine_lines(ENGINE, {"voice": name, "words": list(words)}, SECONDS_PER_WORD * len(words))
    ) as lines:
        for line in lines:
            match line:
                case {"ipa": str(ipa)}:
                    readings.append(ipa)
    if len(readings) != len(words):
        raise Unavailable(
            "speech.espeak_failed", "espeak-ng stopped before it had read the words.", "Try again."
        )
    return readings


def _run(voice: EspeakVoice, name: str, pieces: tuple[Piece, ...], task: SpeechTask) -> Events:
    request = {
        "voice": name,
        "variant": voice.variant,
        "rate_wpm": voice.rate_wpm,
        "pitch": voice.pitch,
        "pitch_range": voice.pitch_range,
        "wav": str(task.wav),
        "pieces": [{"silence_ms": task.lead_in_ms}, *map(_request, pieces), {"silence_ms": task.tail_ms}],
    }
    characters = sum(len(piece.text) for piece in pieces)
    return read_events(ENGINE, request, SECONDS_PER_CHARACTER * characters)


def nothing_to_say() -> InvalidInput:
    """Returns the error for a script of signs alone."""
    return InvalidInput(
        "speech.nothing_to_say",
        "The script holds nothing that this voice can say.",
        "Write words in the language of the scene.",
    )


def _request(piece: Piece) -> dict[str, Any]:
    if not piece.text:
        return {"silence_ms": piece.pause_ms}
    return {"text": piece.text, "ssml": piece.ssml, "phonemes": piece.phonemes}


def _refused(line: dict[str, Any], request: dict[str, Any]) -> AvatarError | None:
    """The error for `{"error": code, ...}` of the child."""
    match line["error"]:
        case "missing":
            return Unavailable(
                "speech.espeak_missing", "espeak-ng is not installed on this machine.", INSTALL_HINT
            )
        case "unknown_voice":
            name = str(request["voice"])
            return InvalidInput(
                "speech.unknown_language",
                f"espeak-ng has no language or voice {name!r}.",
                _close_names(name, line.get("voices", []), "`espeak-ng --voices` lists the languages."),
            )
        case "unknown_variant":
            name = str(request["variant"])
            return InvalidInput(
                "speech.unknown_variant",
                f"espeak-ng has no voice variant {name!r}.",
                _close_names(name, line.get("variants", []), "`espeak-ng --voices=variant` lists them."),
            )
    return None


def _close_names(name: str, known: list[str], otherwise: str) -> str:
    close = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    close += [item for item in known if item.split("-")[0] == name[:2] and item not in close]
    return f"close names: {', '.join(close[:5])}" if close else otherwise


ENGINE = Engine("espeak-ng", "espeak", CHILD, _refused)
