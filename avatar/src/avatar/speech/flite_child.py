"""Speaks English by libflite: a separate program, standard library only, run by `avatar.speech.flite`.

Reads one JSON object on standard input, writes a 16-bit mono WAV as it goes and one JSON line per event on
standard output. Positions are in samples of that WAV. Lines:

    {"rate": 16000}                     first, once
    {"w": [piece, position, length, sample]}   a word begins; position: characters from 0 in the piece's text
    {"p": [name, sample]}               a phone begins, by its ARPABET name in capitals; "" is a pause
    {"e": [piece, sample]}              a piece ends
    {"done": samples}                   last, once
    {"error": code, ...}                instead of all that
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
import os
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any, NoReturn

LANGUAGE = ("libflite_usenglish.so.1", "libflite_cmulex.so.1")
MAX_STORED, STORED_S = 200, 86_400
"""Sentences in the cache: at most so many, and for so long."""
LONGEST_EDGE_S = 0.04
"""So much of the silence that flite puts before and behind a sentence stays; pauses are the request's."""

_Pointer = ctypes.c_void_p


class _Wave(ctypes.Structure):
    """`cst_wave` of cst_wave.h."""

    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def _fail(code: str, **more: Any) -> NoReturn:
    _say({"error": code, **more})
    sys.stdout.flush()
    sys.exit(3)


class _Flite:
    """The library with the one voice of this process."""

    def __init__(self, voice: str, pronunciations: list[str]) -> None:
        try:
            self._library = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
            for name in LANGUAGE:
                ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
            voices = ctypes.CDLL(f"libflite_cmu_us_{voice}.so.1")
        except OSError:
            _fail("missing")
        self._declare()
        self._library.flite_init()
        register = voices[f"register_cmu_us_{voice}"]
        register.restype, register.argtypes = _Pointer, [ctypes.c_char_p]
        self._voice = _Pointer(register(None))
        if pronunciations:
            with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".lex") as lexicon:
                lexicon.write("".join(f"{line}\n" for line in pronunciations))
                lexicon.flush()
                self._library.flite_voice_add_lex_addenda(self._voice, lexicon.name.encode())

    def _declare(self) -> None:
        library = self._library
        for name in ("new_utterance", "utt_synth_tokens", "utt_wave"):
            getattr(library, name).restype = _Pointer
        for name, arguments in (
            ("utt_relation", [_Pointer, ctypes.c_char_p]),
            ("relation_head", [_Pointer]),
            ("item_next", [_Pointer]),
        ):
            function = getattr(library, name)
            function.restype, function.argtypes = _Pointer, arguments
        library.item_feat_float.restype = ctypes.c_float
        library.item_feat_float.argtypes = [_Pointer, ctypes.c_char_p]
        library.ffeature_string.restype = ctypes.c_char_p
        library.ffeature_string.argtypes = [_Pointer, ctypes.c_char_p]
        library.ffeature_float.restype = ctypes.c_float
        library.ffeature_float.argtypes = [_Pointer, ctypes.c_char_p]
        library.item_set_float.argtypes = [_Pointer, ctypes.c_char_p, ctypes.c_float]
        library.feat_set_float.argtypes = [_Pointer, ctypes.c_char_p, ctypes.c_float]
        library.item_set_int.argtypes = [_Pointer, ctypes.c_char_p, ctypes.c_int]
        library.item_feat_int.argtypes = [_Pointer, ctypes.c_char_p]

    def _items(self, utterance: Any, relation: bytes) -> list[int]:
        found = []
        item = self._library.relation_head(self._library.utt_relation(utterance, relation))
        while item:
            found.append(item)
            item = self._library.item_next(item)
        return found

    def synthesise(
        self, text: str, marks: list[list[float]], stretch: float, f0_shift: float
    ) -> tuple[bytes, int, list[tuple[str, float, int]]]:
        """Returns 16-bit samples, their rate, and (phone, end in s, position of its word or -1).

        `marks`: (position in the text, factor on the length of its phones) of each word, in order. `stretch`:
        factor on all lengths; `f0_shift`: on the fundamental (slt and awb only).
        """
        library = self._library
        # The noise in the sound is that of a sentence alone, whatever was spoken before it.
        ctypes.CDLL(None).srand(1)
        utterance = _Pointer(library.new_utterance())
        library.utt_set_input_text(utterance, text.encode("ascii"))
        library.utt_init(utterance, self._voice)
        # The features of `cst_utterance` are its first field. Pauses are stretched by them, too.
        features = ctypes.cast(utterance, ctypes.POINTER(_Pointer))[0]
        library.feat_set_float(_Pointer(features), b"duration_stretch", stretch)
        library.feat_set_float(_Pointer(features), b"f0_shift", f0_shift)
        library.default_tokenization(utterance)
        for item in self._items(utterance, b"Token"):
            # The position is where the reader stood behind the token and its punctuation.
            end = library.item_feat_int(item, b"file_pos") - 2
            mark = next((one for one in reversed(marks) if one[0] <= end), marks[0])
            library.item_set_int(item, b"from", int(mark[0]) + 1)
            library.item_set_float(item, b"local_duration_stretch", mark[1])
        if not library.utt_synth_tokens(utterance):
            _fail("synthesis")
        phones = []
        for item in self._items(utterance, b"Segment"):
            name = library.ffeature_string(item, b"name").decode()
            start = library.ffeature_float(item, b"R:SylStructure.parent.parent.R:Token.parent.from")
            phones.append((name, library.item_feat_float(item, b"end"), int(start) - 1))
        sound = ctypes.cast(library.utt_wave(utterance), ctypes.POINTER(_Wave)).contents
        samples, rate = ctypes.string_at(sound.samples, 2 * sound.num_samples), sound.sample_rate
        library.delete_utterance(utterance)
        return samples, rate, phones


_Spoken = tuple[bytes, int, list[tuple[str, float, int]]]


class _Sentences:
    """Speaks sentences, each once: the library is loaded for the first that is not in the cache."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self._folder = Path(request["cache"]) if request.get("cache") else None
        self._flite: _Flite | None = None

    def speak(self, sentence: dict[str, Any]) -> _Spoken:
        """Returns what `_Flite.synthesise` does."""
        arguments = [sentence[name] for name in ("text", "marks", "stretch", "f0_shift")]
        path = self._path(arguments)
        if path is not None and (stored := _read(path)) is not None:
            return stored
        if self._flite is None:
            self._flite = _Flite(self._request["voice"], self._request["pronunciations"])
        spoken = self._flite.synthesise(*arguments)
        if path is not None:
            _store(path, spoken)
        return spoken

    def _path(self, arguments: list[Any]) -> Path | None:
        if self._folder is None:
            return None
        voice = [self._request["voice"], self._request["pronunciations"]]
        content = json.dumps([voice, arguments]).encode() + Path(__file__).read_bytes()
        return self._folder / f"{hashlib.sha256(content).hexdigest()[:32]}.sentence"


def _read(path: Path) -> _Spoken | None:
    """Returns a stored sentence; None where there is none, or its file is damaged."""
    try:
        head, _, samples = path.read_bytes().partition(b"\n")
        stored = json.loads(head)
        if stored["sha256"] != hashlib.sha256(samples).hexdigest():
            return None
        return samples, stored["rate"], [tuple(one) for one in stored["phones"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _store(path: Path, spoken: _Spoken) -> None:
    """Writes a sentence in one step, and removes old ones. A full disk stores nothing."""
    samples, rate, phones = spoken
    head = {"rate": rate, "phones": phones, "sha256": hashlib.sha256(samples).hexdigest()}
    written = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written.write_bytes(json.dumps(head).encode() + b"\n" + samples)
        written.replace(path)
        times = {one: one.stat().st_mtime for one in path.parent.glob("*.sentence")}
        newest_first = sorted(times, key=lambda one: times[one], reverse=True)
        old = time.time() - STORED_S
        for place, one in enumerate(newest_first):
            if place >= MAX_STORED or times[one] < old:
                one.unlink(missing_ok=True)
    except OSError:
        written.unlink(missing_ok=True)


def _speak(sentences: _Sentences, request: dict[str, Any]) -> None:
    with wave.open(request["wav"], "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate := request["rate"])
        for number, piece in enumerate(request["pieces"]):
            if "silence_ms" in piece:
                _say({"p": ["", wav.tell()]})
                _write_silence(wav, piece["silence_ms"] * rate // 1000)
            for sentence in piece.get("sentences", ()):
                _sentence(sentences, sentence, number, wav)
                if sentence["pause_ms"]:
                    _say({"p": ["", wav.tell()]})
                    _write_silence(wav, sentence["pause_ms"] * rate // 1000)
            _say({"e": [number, wav.tell()]})
        # A whole number of milliseconds, so that nobody has to round.
        _write_silence(wav, -wav.tell() % (rate // math.gcd(rate, 1000)))
        wav.writeframes(b"")
        _say({"done": wav.tell()})


def _sentence(sentences: _Sentences, sentence: dict[str, Any], piece: int, wav: wave.Wave_write) -> None:
    samples, rate, phones = sentences.speak(sentence)
    if rate != wav.getframerate():
        _fail("rate")
    edge = round(LONGEST_EDGE_S * rate)
    count = len(samples) // 2
    ends = [min(round(end * rate), count) for _, end, _ in phones]
    first = max(0, ends[0] - edge) if phones and phones[0][0] == "pau" else 0
    last = count
    if len(phones) > 1 and phones[-1][0] == "pau":
        last = min(last, ends[-2] + edge)
    at, begins, word = wav.tell() - first, first, -1
    for (name, _, position), end in zip(phones, ends, strict=True):
        if begins >= last:
            break
        if position >= 0 and position != word:
            word = position
            _say({"w": [piece, sentence["at"] + position, 1, at + begins]})
        _say({"p": ["" if name == "pau" else name.upper(), at + begins]})
        begins = end
    wav.writeframesraw(samples[2 * first : 2 * last])


def _write_silence(wav: wave.Wave_write, samples: int) -> None:
    while samples > 0:
        wav.writeframesraw(bytes(2 * min(samples, wav.getframerate())))
        samples -= wav.getframerate()


def main() -> None:
    request = json.load(sys.stdin)
    sentences = _Sentences(request)
    _say({"rate": request["rate"]})
    try:
        _speak(sentences, request)
    except OSError as error:
        _fail("disk", errno=error.errno, reason=error.strerror or "write failed")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
