"""The only code that loads libespeak-ng (GPL): a separate program, standard library only, run by
`avatar.speech.espeak`.

Reads one JSON object on standard input, writes a 16-bit mono WAV as it goes and one JSON line per event on
standard output. Positions are in samples of that WAV. Lines:

    {"rate": 22050}                     first, once
    {"voice": name, "exact": true}      then, once; not exact when only the main language is known
    {"w": [piece, position, length, sample]}   a word begins; position: characters from 0 in the piece's text
    {"p": [ipa, sample]}                a phoneme begins; "" is a pause
    {"e": [piece, sample]}              a piece ends
    {"done": samples}                   last, once
    {"error": code, ...}                instead of all that

With "words" instead of "pieces" it makes no sound: {"ipa": text} for each word.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import math
import sys
import wave
from collections.abc import Iterator
from typing import Any, NoReturn

AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_PHONEME_EVENTS_IPA = 0x0003
INITIALIZE_DONT_EXIT = 0x8000
CHARS_UTF8, SSML, PHONEMES = 0x0001, 0x0010, 0x0100
EVENT_LIST_TERMINATED, EVENT_WORD, EVENT_PHONEME = 0, 1, 7
RATE, PITCH, RANGE = 1, 3, 4
PHONEMES_AS_IPA = 0x02


class _Identifier(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identifier),
    )


class _Voice(ctypes.Structure):
    """`espeak_VOICE` of speak_lib.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def _fail(code: str, **more: Any) -> NoReturn:
    _say({"error": code, **more})
    sys.stdout.flush()
    sys.exit(3)


def _load() -> ctypes.CDLL:
    for name in ("libespeak-ng.so.1", ctypes.util.find_library("espeak-ng")):
        if name:
            try:
                return ctypes.CDLL(name)
            except OSError:
                continue
    _fail("missing")


def _voices(espeak: ctypes.CDLL) -> dict[str, str]:
    """Language tags to the voice files that speak them: "en-gb" -> "gmw/en"."""
    files: dict[str, str] = {}
    for voice in _listed(espeak, None):
        # `languages` is a priority byte and a name; more may follow, the first is the voice's own.
        language = (voice.languages or b"")[1:].decode("utf-8", "replace").lower()
        if language and language != "variant":
            files.setdefault(language, (voice.identifier or b"").decode("utf-8", "replace"))
    return files


def _variants(espeak: ctypes.CDLL) -> set[str]:
    """Names of the variants. The library ignores an unknown one instead of refusing it."""
    variants = _listed(espeak, ctypes.byref(_Voice(languages=b"variant")))
    return {(voice.identifier or b"").decode("utf-8", "replace").rpartition("/")[2] for voice in variants}


def _listed(espeak: ctypes.CDLL, pattern: Any) -> Iterator[_Voice]:
    espeak.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    listed = espeak.espeak_ListVoices(pattern)
    index = 0
    while listed[index]:
        yield listed[index].contents
        index += 1


def _set_voice(espeak: ctypes.CDLL, name: str, variant: str | None) -> None:
    """By voice name, by language tag, or by its first part ("de-at" is read as "de")."""
    files = _voices(espeak)
    main = name.partition("-")[0]
    candidates = [name, files.get(name), main, files.get(main)]
    found = next(
        (item for item in candidates if item and espeak.espeak_SetVoiceByName(item.encode()) == 0), None
    )
    if found is None:
        _fail("unknown_voice", voices=sorted(files))
    if variant:
        variants = _variants(espeak)
        if variant not in variants or espeak.espeak_SetVoiceByName(f"{found}+{variant}".encode()) != 0:
            _fail("unknown_variant", variants=sorted(variants))
    _say({"voice": found, "exact": found in candidates[:2]})


def _speak(espeak: ctypes.CDLL, request: dict[str, Any], wav: wave.Wave_write) -> None:
    piece = offset = 0
    disk_error: OSError | None = None

    def on_samples(samples: Any, count: int, events: Any) -> int:
        """Called by the library with sound and events; an exception must not cross it, a 1 stops the
        synthesis.
        """
        nonlocal disk_error
        index = 0
        while events[index].type != EVENT_LIST_TERMINATED:
            event = events[index]
            at = offset + event.sample
            if event.type == EVENT_WORD and event.length > 0:
                _say({"w": [piece, event.text_position - 1, event.length, at]})
            elif event.type == EVENT_PHONEME:
                # Eight bytes: a long name may be cut inside a character.
                _say({"p": [bytes(event.id.string).decode("utf-8", "ignore"), at]})
            index += 1
        try:
            if count > 0 and samples:
                wav.writeframesraw(ctypes.string_at(samples, count * 2))
        except OSError as error:
            disk_error = error
            return 1
        return 0

    callback = _Callback(on_samples)
    espeak.espeak_SetSynthCallback(callback)
    for piece, request_piece in enumerate(request["pieces"]):
        offset = wav.tell()
        if "silence_ms" in request_piece:
            _say({"p": ["", offset]})
            _write_silence(wav, request_piece["silence_ms"] * wav.getframerate() // 1000)
        else:
            text = request_piece["text"].encode("utf-8", "replace") + b"\0"
            flags = (
                CHARS_UTF8
                | (SSML if request_piece["ssml"] else 0)
                | (PHONEMES if request_piece["phonemes"] else 0)
            )
            if espeak.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, flags, None, None) != 0:
                _fail("synthesis")
            espeak.espeak_Synchronize()
        if disk_error is not None:
            raise disk_error
        _say({"e": [piece, wav.tell()]})


def _read_words(espeak: ctypes.CDLL, words: list[str]) -> None:
    espeak.espeak_TextToPhonemes.restype = ctypes.c_char_p
    for word in words:
        rest = ctypes.c_char_p(word.encode("utf-8", "replace"))
        clauses: list[str] = []
        # The function moves the pointer past one clause and sets it to null at the end.
        while rest.value:
            ipa = espeak.espeak_TextToPhonemes(ctypes.byref(rest), CHARS_UTF8, PHONEMES_AS_IPA)
            clauses.append((ipa or b"").decode("utf-8", "ignore"))
        _say({"ipa": " ".join(clauses)})


def _write_silence(wav: wave.Wave_write, samples: int) -> None:
    while samples > 0:
        wav.writeframesraw(bytes(2 * min(samples, wav.getframerate())))
        samples -= wav.getframerate()


def main() -> None:
    request = json.load(sys.stdin)
    espeak = _load()
    rate = espeak.espeak_Initialize(
        AUDIO_OUTPUT_SYNCHRONOUS, 0, None, INITIALIZE_PHONEME_EVENTS_IPA | INITIALIZE_DONT_EXIT
    )
    if rate <= 0:
        _fail("missing")
    _say({"rate": rate})
    _set_voice(espeak, request["voice"], request.get("variant"))
    if "words" in request:
        _read_words(espeak, request["words"])
        sys.stdout.flush()
        return
    for parameter, key in ((RATE, "rate_wpm"), (PITCH, "pitch"), (RANGE, "pitch_range")):
        espeak.espeak_SetParameter(parameter, int(request[key]), 0)
    try:
        with wave.open(request["wav"], "wb") as wav:
            wav.setnchannels(1)
            wav.setsampwidth(2)
            wav.setframerate(rate)
            _speak(espeak, request, wav)
            # A whole number of milliseconds, so that nobody has to round.
            _write_silence(wav, -wav.tell() % (rate // math.gcd(rate, 1000)))
            wav.writeframes(b"")
            _say({"done": wav.tell()})
    except OSError as error:
        _fail("disk", errno=error.errno, reason=error.strerror or "write failed")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
