"""Runs espeak-ng as a separate program and reads back sound, word and phoneme times; used by `speak`."""

from __future__ import annotations

import difflib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from avatar.errors import AvatarError, InvalidInput, Unavailable
from avatar.spec import EspeakVoice
from avatar.speech.markup import Script
from avatar.speech.pieces import Piece, spoken_pieces
from avatar.speech.wordtimes import WordEvent, phones_from_events, words_from_events
from avatar.tracks import SpeechTrack

CHILD = Path(__file__).with_name("espeak_child.py")
INSTALL_HINT = "apt-get install espeak-ng"
START_TIMEOUT_S = 30.0
TIMEOUT_S_PER_CHARACTER = 0.01
"""About a hundred times what a slow machine needs."""


@dataclass(frozen=True, slots=True)
class EspeakEvents:
    """What the child said. Samples count from the start of the WAV."""

    rate_hz: int
    samples: int
    words: tuple[WordEvent, ...]
    phonemes: tuple[tuple[str, int], ...]
    piece_ends: tuple[int, ...]


def espeak_language(language: str, voice: EspeakVoice) -> str:
    """The espeak-ng voice to ask for.

    The voice decides the accent, the scene's language what is read: `de` with an `en-us` voice is read in
    German. The scene's default, `en-us`, lets the voice decide.
    """
    wanted, named = _plain(language), _plain(voice.voice)
    if wanted in ("", "en-us") or wanted.split("-")[0] == named.split("-")[0]:
        return named
    return wanted


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
    pieces, notes = spoken_pieces(script, pronunciation, language)
    name = espeak_language(language, voice)
    events = _run(voice, name, pieces, wav, lead_in_ms, tail_ms)
    sound_begins = events.piece_ends[0]
    sound_ends = events.piece_ends[-2]
    phones = phones_from_events(events.phonemes, events.samples, events.rate_hz, sound_begins, sound_ends)
    words = words_from_events(pieces, events.words, phones, events.piece_ends, events.rate_hz)
    if not any(phone.ipa for phone in phones):
        raise InvalidInput(
            "speech.nothing_to_say",
            "The script holds nothing that this voice can say.",
            "write words in the language of the scene",
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
    for line in _child_lines({"voice": name, "words": list(words)}, START_TIMEOUT_S + len(words) * 0.05):
        match line:
            case {"ipa": str(ipa)}:
                readings.append(ipa)
            case {"error": str(code)}:
                raise _child_error(code, name, EspeakVoice(), line)
    if len(readings) != len(words):
        raise Unavailable(
            "speech.espeak_failed", "espeak-ng stopped before it had read the words.", "try again"
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
    lines = _child_lines(request, START_TIMEOUT_S + TIMEOUT_S_PER_CHARACTER * characters)
    rate_hz = samples = 0
    words: list[WordEvent] = []
    phonemes: list[tuple[str, int]] = []
    piece_ends: list[int] = []
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
            case {"done": int(samples)}:
                pass
            case {"error": str(code)}:
                raise _child_error(code, name, voice, line)
    if not samples:
        raise Unavailable(
            "speech.espeak_failed", "espeak-ng stopped before it had spoken the script.", "try again"
        )
    return EspeakEvents(rate_hz, samples, tuple(words), tuple(phonemes), tuple(piece_ends))


def _request(piece: Piece) -> dict[str, Any]:
    if not piece.text:
        return {"silence_ms": piece.pause_ms}
    return {"text": piece.text, "ssml": piece.ssml, "phonemes": piece.phonemes}


def _child_lines(request: dict[str, Any], timeout_s: float) -> Iterator[dict[str, Any]]:
    """Start the child, give it the request, yield what it prints; it never outlives this generator."""
    command = [sys.executable, "-I", "-S", str(CHILD)]
    timed_out = threading.Event()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)

        def stop() -> None:
            timed_out.set()
            child.kill()

        watchdog = threading.Timer(timeout_s, stop)
        watchdog.start()
        try:
            if child.stdin is None or child.stdout is None:
                raise RuntimeError("the child was started without pipes")
            _give(child.stdin, json.dumps(request).encode())
            for line in child.stdout:
                yield json.loads(line)
            child.wait()
        finally:
            watchdog.cancel()
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
        if timed_out.is_set():
            raise Unavailable(
                "speech.timeout", f"espeak-ng did not finish within {timeout_s:.0f} s.", "shorten the scene"
            )
        if child.returncode not in (0, 3):
            errors.seek(0)
            reason = (errors.read()[-300:].decode("utf-8", "replace").strip().splitlines() or ["no message"])[
                -1
            ]
            raise Unavailable(
                "speech.espeak_failed",
                f"espeak-ng ended with status {child.returncode}: {reason}",
                "try again",
            )


def _give(stdin: IO[bytes], data: bytes) -> None:
    try:
        stdin.write(data)
        stdin.close()
    except BrokenPipeError:
        # The child died early; its status and message say why.
        return


def _child_error(code: str, name: str, voice: EspeakVoice, line: dict[str, Any]) -> AvatarError:
    match code:
        case "missing":
            return missing()
        case "unknown_voice":
            known: list[str] = [str(item) for item in line.get("voices", [])]
            close = difflib.get_close_matches(name, known, n=5, cutoff=0.5) or [
                item for item in known if item.split("-")[0] == name.split("-")[0][:2]
            ]
            hint = (
                f"close names: {', '.join(close[:5])}"
                if close
                else "`espeak-ng --voices` lists the languages"
            )
            return InvalidInput(
                "speech.unknown_language", f"espeak-ng has no language or voice {name!r}.", hint
            )
        case "unknown_variant":
            return InvalidInput(
                "speech.unknown_variant",
                f"espeak-ng has no voice variant {voice.variant!r}.",
                "`espeak-ng --voices=variant` lists them",
            )
        case "disk":
            return Unavailable(
                "speech.disk",
                f"The speech could not be written: {line.get('reason')}.",
                "free some disk space",
            )
    return Unavailable("speech.espeak_failed", f"espeak-ng failed ({code}).", "try again")


def missing() -> Unavailable:
    return Unavailable("speech.espeak_missing", "espeak-ng is not installed on this machine.", INSTALL_HINT)


def installed() -> bool:
    """For `avatar doctor`; the child decides for itself, since it needs the library, not the program."""
    return shutil.which("espeak-ng") is not None
