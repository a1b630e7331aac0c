"""Speaks English by CMU flite, run as a separate program, with exact times of phones; used by `speak`."""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avatar.errors import AvatarError, Unavailable
from avatar.programs import flite_is_installed
from avatar.spec import FliteVoice
from avatar.speech.arpabet import IPA, ipa_to_sounds
from avatar.speech.engine_child import Engine, read_events
from avatar.speech.espeak import nothing_to_say, synthesise
from avatar.speech.markup import Script, SpeechTask, Token
from avatar.speech.pieces import Piece
from avatar.speech.polish import OUTPUT_HZ, polish
from avatar.speech.pronunciation import Respeller, is_ipa
from avatar.speech.spoken_english import ends_sentence, in_words, is_abbreviation
from avatar.speech.wordtimes import Events, track_from_events
from avatar.tracks import SpeechNote, SpeechTrack

CHILD = Path(__file__).with_name("flite_child.py")
INSTALL_HINT = "apt-get install libflite1"
SECONDS_PER_CHARACTER = 0.05
RATE_HZ = 16_000
PAUSES_MS = {".": 330, "!": 330, "?": 360, "…": 450, ":": 240, ";": 240}
"""Behind a sentence, by its last sign; within one, flite pauses at commas."""
EMPHASIS = 1.18
"""Factor on the length of an emphasised word."""
MOST_WORDS = 60
"""A longer sentence is spoken in parts: its phones are found by a search over all of it."""

_ENDS = re.compile(r"([.!?…:;])[^\w]*$")
_VOWELS = frozenset(
    ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"]
)
_MORE_IPA = {"AX": "ə", "AXR": "ɚ", "DX": "ɾ", "EL": "əl", "EM": "əm", "EN": "ən", "NX": "n"}


@dataclass(frozen=True, slots=True)
class _Text:
    """A piece for word times, and what the child gets for it."""

    piece: Piece
    request: dict[str, Any]


def reads(script: Script, language: str) -> bool:
    """Returns whether flite can read a script: English in all its forms, in Latin letters."""
    is_english = re.split(r"[-_]", language.strip().lower())[0] in ("", "en")
    return is_english and all(map(_has_letters, script.tokens))


def from_flite(script: Script, voice: FliteVoice, task: SpeechTask) -> SpeechTrack:
    """Writes the WAV and returns its track. Speaks by espeak-ng, `voice.otherwise`, what is not English, and
    all where flite is not installed.

    Raises Unavailable `speech.flite_failed`, `speech.timeout` and what `synthesise` of espeak raises.
    """
    if not reads(script, task.language):
        return synthesise(script, voice.otherwise, task)
    if not flite_is_installed():
        track = synthesise(script, voice.otherwise, task)
        missing = SpeechNote("speech.flite_missing", f"espeak-ng speaks: flite is not here ({INSTALL_HINT}).")
        return replace(track, notes=(*track.notes, missing))
    notes = list(script.notes)
    scale = 2 ** (voice.pitch / 12)
    respellings = {word: value for word, value in task.pronunciation.items() if not is_ipa(value)}
    respeller = Respeller(respellings, notes, phonemes_of=None)
    texts = _texts(script, respeller, task.language, stretch=scale / voice.pace, pause_scale=scale)
    if not any(one.request.get("sentences") for one in texts):
        raise nothing_to_say()
    with tempfile.TemporaryDirectory(dir=task.wav.parent) as folder:
        raw = Path(folder) / "raw.wav"
        request = {
            "voice": voice.voice,
            "rate": RATE_HZ,
            "wav": str(raw),
            "cache": None if task.cache is None else str(task.cache / "sentences"),
            "pronunciations": _lexicon(task.pronunciation, notes),
            "pieces": [{"silence_ms": 0}, *(one.request for one in texts), {"silence_ms": 0}],
        }
        characters = sum(len(one.piece.text) for one in texts)
        events = read_events(ENGINE, request, SECONDS_PER_CHARACTER * characters)
        loud = _emphasised(texts, events)
        samples = polish(raw, task, scale, loud)
    events = _in_output(events, scale, task.lead_in_ms, samples)
    return track_from_events(task.wav, OUTPUT_HZ, [one.piece for one in texts], events, notes)


def _texts(
    script: Script, respeller: Respeller, language: str, stretch: float, pause_scale: float
) -> list[_Text]:
    texts: list[_Text] = []
    for passage in script.passages:
        if passage.tokens:
            texts.append(_text(passage.tokens, respeller, language, stretch, paused=bool(passage.pause_ms)))
        if passage.pause_ms:
            silence = {"silence_ms": round(passage.pause_ms * pause_scale)}
            texts.append(_Text(Piece(pause_ms=passage.pause_ms), silence))
    return texts


def _text(
    tokens: tuple[Token, ...], respeller: Respeller, language: str, stretch: float, *, paused: bool
) -> _Text:
    text, starts = "", []
    sentences: list[dict[str, Any]] = []
    at, marks = 0, []
    semitones: float | None = None
    as_written = [token.text for token in tokens]
    written = in_words([respeller.respell(word)[0] for word in as_written], language)
    for number, (token, words) in enumerate(zip(tokens, written, strict=True)):
        starts.append(len(text))
        spoken = to_ascii(words)
        longer = EMPHASIS if token.emphasis else 1.0
        # The pitch is that of a whole sentence: of the mood in which it begins.
        semitones = token.semitones if semitones is None else semitones
        marks.append([len(text) - at, longer / (token.rate * token.pace)])
        text += f"{spoken} "
        is_inside = is_abbreviation(token.text) and not ends_sentence(as_written, number)
        ends = None if is_inside else _ENDS.search(spoken)
        is_last = number == len(tokens) - 1
        if ends or is_last or len(marks) >= MOST_WORDS:
            sentence = text[at:].rstrip()
            pause_ms = PAUSES_MS[ends[1]] if ends and not (is_last and paused) else 0
            if any(char.isalnum() for char in sentence):
                pause = 0 if is_last else round(pause_ms * stretch)
                sentences.append(
                    {
                        "text": sentence,
                        "at": at,
                        "marks": marks,
                        "pause_ms": pause,
                        "stretch": stretch,
                        "f0_shift": 2 ** (semitones / 12),
                    }
                )
            at, marks, semitones = len(text), [], None
    return _Text(Piece(text, tokens=tokens, starts=tuple(starts)), {"sentences": sentences})


def to_ascii(text: str) -> str:
    """Returns what flite can read: signs of other alphabets without their accents, or left out."""
    for sign, spoken in (
        ("—", ","),
        ("–", "-"),
        ("’", "'"),
        ("‘", "'"),
        ("…", "..."),
        ("œ", "oe"),
        ("ß", "ss"),
    ):
        text = text.replace(sign, spoken)
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _has_letters(token: Token) -> bool:
    """Returns whether flite can read a word: false of Hebrew or Chinese, true of what is no word."""
    letters = [char for char in token.text if char.isalpha()]
    return not letters or any(char.isalpha() for char in to_ascii("".join(letters)))


def _lexicon(pronunciation: dict[str, str], notes: list[SpeechNote]) -> list[str]:
    """Returns the lines of flite's lexicon for the words whose sounds are given in IPA."""
    lines = []
    for word, value in pronunciation.items():
        plain = to_ascii(word.strip()).lower()
        if not is_ipa(value):
            continue
        names = [name for part in re.split(r"(?=ˈ)", value[1:-1]) for name in _flite_phones(part)]
        if not plain.isalpha() or not names:
            sentence = f"flite has no sounds for {value}: {word!r} is read as written."
            notes.append(SpeechNote("speech.pronunciation_unsupported", sentence))
            continue
        if not any(name[-1] == "1" for name in names):
            first = next((at for at, name in enumerate(names) if name[-1] == "0"), 0)
            names[first] = names[first].replace("0", "1")
        lines.append(f"{plain} 0 : {' '.join(names)}")
    return lines


def _flite_phones(part: str) -> list[str]:
    """Returns the phones of some IPA; the first vowel behind a stress mark is stressed."""
    stressed = part.startswith("ˈ")
    names = []
    for name, _ in ipa_to_sounds(part):
        if name in _VOWELS:
            names.append(f"{name.lower()}{1 if stressed else 0}")
            stressed = False
        else:
            names.append(name.lower())
    return names


def _emphasised(texts: Sequence[_Text], events: Events) -> list[tuple[int, int]]:
    """Returns the spans, in samples of the raw sound, of words that are emphasised."""
    spans = []
    for number, event in enumerate(events.words):
        piece = texts[event.piece].piece
        if piece.tokens[piece.token_at(event.position)].emphasis:
            following = events.words[number + 1] if number + 1 < len(events.words) else None
            same = following is not None and following.piece == event.piece
            end = following.sample if following and same else events.piece_ends[event.piece + 1]
            spans.append((event.sample, end))
    return spans


def _in_output(events: Events, scale: float, lead_in_ms: int, samples: int) -> Events:
    """Returns the events in samples of the polished sound."""
    lead_in = lead_in_ms * OUTPUT_HZ // 1000

    def output(sample: int) -> int:
        return min(samples, lead_in + round(sample * OUTPUT_HZ / (RATE_HZ * scale)))

    return replace(
        events,
        rate_hz=OUTPUT_HZ,
        samples=samples,
        words=tuple(replace(one, sample=output(one.sample)) for one in events.words),
        phonemes=tuple((_ipa(name), output(sample)) for name, sample in events.phonemes),
        piece_ends=(*(output(sample) for sample in events.piece_ends[:-1]), samples),
    )


def _ipa(name: str) -> str:
    return IPA.get(name, _MORE_IPA.get(name, "ə")) if name else ""


def _refused(line: dict[str, Any], _: dict[str, Any]) -> AvatarError | None:
    if line["error"] == "missing":
        return Unavailable("speech.flite_missing", "flite is not installed on this machine.", INSTALL_HINT)
    return None


ENGINE = Engine("flite", "flite", CHILD, _refused)
