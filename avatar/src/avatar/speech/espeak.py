"""Runs espeak-ng as a separate program and reads back sound, word and phoneme times; used by `speak`."""

from __future__ import annotations

import difflib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from avatar.encode.atomic import write_error
from avatar.errors import AvatarError, InvalidInput, Unavailable
from avatar.spec import EspeakVoice
from avatar.speech.markup import Script
from avatar.speech.pieces import Piece, split_pieces
from avatar.speech.wordtimes import WordEvent, phones_from_events, words_from_events
from avatar.tracks import SpeechNote, SpeechTrack

SECONDS_PER_CHARACTER = 0.01
SECONDS_PER_WORD = 0.05
"""Time limits: about a hundred times what a slow machine needs."""
CHILD = Path(__file__).with_name("espeak_child.py")
INSTALL_HINT = "apt-get install espeak-ng"
START_TIMEOUT_S = 30.0
DAMAGED = "speech.espeak_failed"


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


def espeak_lines(request: dict[str, Any], work_s: float) -> Generator[dict[str, Any]]:
    """Give the child a request and yield the lines it prints; it never outlives this generator.

    work_s: seconds the work may take on top of the start. Raises InvalidInput `speech.unknown_language`,
    `speech.unknown_variant`; Unavailable `speech.espeak_missing`, `espeak_failed`, `timeout`; and, when the
    sound cannot be written, `render.disk_full` and `render.write_failed`.
    """
    timeout_s = START_TIMEOUT_S + work_s
    timed_out = threading.Event()
    # By path and isolated: the GPL library gets a process that imports nothing of this project.
    command = [sys.executable, "-I", "-S", str(CHILD)]
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)

        def stop() -> None:
            timed_out.set()
            child.kill()

        watchdog = threading.Timer(timeout_s, stop)
        watchdog.daemon = True
        watchdog.start()
        try:
            if child.stdin is None or child.stdout is None:
                raise RuntimeError("the child was started without pipes")
            _give(child.stdin, json.dumps(request).encode())
            yield from _lines(child.stdout, request)
            child.wait()
        finally:
            watchdog.cancel()
            watchdog.join()  # whoever forks next wants to be alone
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
        if timed_out.is_set():
            raise Unavailable(
                "speech.timeout", f"espeak-ng did not finish within {timeout_s:.0f} s.", "shorten the scene"
            )
        if child.returncode != 0:
            errors.seek(0)
            raise _ended(child.returncode, errors.read().decode("utf-8", "replace"))


def _give(stdin: IO[bytes], data: bytes) -> None:
    try:
        stdin.write(data)
        stdin.close()
    except BrokenPipeError:
        # The child died early; its status and message say why.
        return


def _lines(stdout: IO[bytes], request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for line in stdout:
        try:
            content = json.loads(line)
        except ValueError as error:
            raise Unavailable(DAMAGED, "espeak-ng printed something unexpected.", "Try again.") from error
        if not isinstance(content, dict):
            raise Unavailable(DAMAGED, "espeak-ng printed something unexpected.", "Try again.")
        if "error" in content:
            raise _refused(content, request)
        yield content


def _ended(status: int, errors: str) -> Unavailable:
    lines = errors.strip().splitlines()
    reason = lines[-1][-200:] if lines else "no message"
    return Unavailable(DAMAGED, f"espeak-ng ended with status {status}: {reason}.", "Try again.")


def _refused(line: dict[str, Any], request: dict[str, Any]) -> AvatarError:
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
        case "disk":
            return write_error(OSError(line["errno"], line["reason"]), Path(request["wav"]))
    return Unavailable(DAMAGED, f"espeak-ng failed ({line['error']}).", "Try again.")


def _close_names(name: str, known: list[str], otherwise: str) -> str:
    close = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    close += [item for item in known if item.split("-")[0] == name[:2] and item not in close]
    return f"close names: {', '.join(close[:5])}" if close else otherwise
