"""Speaks a script by passages, one request each, and joins their sounds; used by voices behind HTTP and by
Piper.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from avatar.errors import InvalidInput, Unavailable
from avatar.speech.align import bare
from avatar.speech.decode import best_rate_hz, decode_into, probe_rate_hz
from avatar.speech.markup import Script, SpeechTask, Token
from avatar.speech.pieces import Piece
from avatar.speech.pronunciation import Respeller
from avatar.speech.sound import WavWriter, duration_ms, rate_hz
from avatar.speech.spoken import in_words
from avatar.speech.timed import Stretch, build_track
from avatar.speech.wordtimes import Events, WordEvent, track_from_events
from avatar.tracks import SpeechNote, SpeechTrack

MAX_PIECE_CHARS = 3000
"""OpenAI takes 4096 characters; long pieces also cost more when they must be repeated."""


@dataclass(frozen=True, slots=True)
class SpokenTimes:
    """Holds when phones and words begin, in ms from the start of their sound. `phones`: (IPA, "" for
    silence; start); `words`: None for one that has no start of its own.
    """

    phones: tuple[tuple[str, int], ...]
    words: tuple[int | None, ...]


Say = Callable[[Sequence[str], float, Path], SpokenTimes | None]
"""Writes the sound of words, at a factor of the voice's pace, to a file; returns their times where the voice
tells them.
"""


@dataclass(frozen=True, slots=True)
class _Utterance:
    """The spoken words of one request, their tokens, and the silence behind them. `readings`: bare words that
    are spoken in another way than they are written.
    """

    words: tuple[str, ...]
    tokens: tuple[Token, ...]
    pause_ms: int
    pace: float
    readings: tuple[tuple[str, str], ...]


def speak_in_passages(script: Script, say: Say, speaker: str, task: SpeechTask) -> SpeechTrack:
    """Speak a script by `say`, silences put in between; what it does not time is timed by alignment.

    `speaker` names in errors who spoke. Raises Unavailable `speech.upstream_bad_audio` and what `say` raises.
    """
    notes = [*script.notes, *_unsupported(script)]
    utterances = _utterances(script, task, notes)
    # A pause at the very start has no words before it.
    pause_ms = 0 if script.passages[0].tokens else script.passages[0].pause_ms
    stretches, times = _say_all(utterances, say, speaker, task, pause_ms)
    exact = [one for one in times if one is not None]
    if exact and len(exact) == len(utterances):
        return _exact_track(task.wav, utterances, stretches, exact, notes)
    # What is written short is aligned as it was spoken.
    readings = dict(one for utterance in utterances for one in utterance.readings)
    own = {bare(word): value for word, value in task.pronunciation.items()}
    return build_track(task.wav, script.tokens, stretches, task.language, {**readings, **own}, notes)


def _say_all(
    utterances: Sequence[_Utterance], say: Say, speaker: str, task: SpeechTask, pause_ms: int
) -> tuple[list[Stretch], list[SpokenTimes | None]]:
    """Write the WAV, with `pause_ms` before its words; one stretch and its times per utterance."""
    stretches: list[Stretch] = []
    times: list[SpokenTimes | None] = []
    token = 0
    with tempfile.TemporaryDirectory(dir=task.wav.parent) as folder, contextlib.ExitStack() as files:
        answer = Path(folder) / "answer"
        writer: WavWriter | None = None
        for utterance in utterances:
            times.append(say(utterance.words, utterance.pace, answer))
            if writer is None:
                # The first answer sets the rate of the whole scene.
                with _require_sound(speaker):
                    rate = best_rate_hz(probe_rate_hz(answer))
                writer = files.enter_context(WavWriter(task.wav, rate))
                writer.silence(task.lead_in_ms + pause_ms)
            start_ms = writer.milliseconds
            with _require_sound(speaker):
                decode_into(answer, writer)
            stretches.append(Stretch(token, token + len(utterance.tokens), start_ms, writer.milliseconds))
            token += len(utterance.tokens)
            writer.silence(utterance.pause_ms)
        if writer is not None:
            writer.silence(task.tail_ms)
    return stretches, times


def _exact_track(
    wav: Path,
    utterances: Sequence[_Utterance],
    stretches: Sequence[Stretch],
    times: Sequence[SpokenTimes],
    notes: Sequence[SpeechNote],
) -> SpeechTrack:
    """The track of a voice that has told all times; milliseconds are its samples here."""
    pieces: list[Piece] = []
    edges: list[int] = []
    phones: list[tuple[str, int]] = []
    events: list[WordEvent] = []
    for utterance, stretch, spoken in zip(utterances, stretches, times, strict=True):
        lengths = [len(word) + 1 for word in utterance.words]
        starts = tuple(sum(lengths[:place]) for place in range(len(lengths)))
        number = len(pieces)
        # The second piece is the pause up to the next utterance.
        pieces += [Piece(" ".join(utterance.words), tokens=utterance.tokens, starts=starts), Piece()]
        edges += [stretch.start_ms, stretch.end_ms]
        phones += [(name, stretch.start_ms + start_ms) for name, start_ms in spoken.phones]
        phones.append(("", stretch.end_ms))
        events += [
            WordEvent(number, position, 1, stretch.start_ms + start_ms)
            for position, start_ms in zip(starts, spoken.words, strict=True)
            if start_ms is not None
        ]
    length_ms = duration_ms(wav)
    found = Events(1000, length_ms, tuple(events), tuple(phones), (*edges, length_ms))
    return track_from_events(wav, rate_hz(wav), pieces, found, notes)


@contextlib.contextmanager
def _require_sound(speaker: str) -> Iterator[None]:
    """While an answer is read: raises Unavailable `speech.upstream_bad_audio` for one that is no sound."""
    try:
        yield
    except InvalidInput as error:
        raise Unavailable(
            "speech.upstream_bad_audio",
            f"The answer of {speaker} is not sound that can be read.",
            "Check that it can answer in WAV.",
        ) from error


def _utterances(script: Script, task: SpeechTask, notes: list[SpeechNote]) -> list[_Utterance]:
    respeller = Respeller(task.pronunciation, notes, phonemes_of=None)
    utterances: list[_Utterance] = []
    for passage in script.passages:
        if not passage.tokens:
            continue
        groups = _sentence_groups(passage.tokens)
        for number, group in enumerate(groups):
            words = [respeller.respell(token.text)[0] for token in group]
            spoken = in_words(words, task.language)
            readings = tuple(
                (bare(token.text), reading)
                for token, word, reading in zip(group, words, spoken, strict=True)
                if reading != word and bare(token.text)
            )
            pause_ms = passage.pause_ms if number == len(groups) - 1 else 0
            utterances.append(_Utterance(tuple(spoken), group, pause_ms, group[0].pace, readings))
    return utterances


def _sentence_groups(tokens: tuple[Token, ...]) -> list[tuple[Token, ...]]:
    """Whole sentences, as many as one request takes; a sentence longer than that is cut between words, and
    sentences are parted where the pace of their mood changes.
    """
    groups: list[tuple[Token, ...]] = []
    group: list[Token] = []
    length = sentence_end = 0
    for token in tokens:
        if group and sentence_end == len(group) and token.pace != group[0].pace:
            groups.append(tuple(group))
            group, length, sentence_end = [], 0, 0
        if group and length + len(token.text) > MAX_PIECE_CHARS:
            cut = sentence_end or len(group)
            groups.append(tuple(group[:cut]))
            group = group[cut:]
            length, sentence_end = sum(len(item.text) + 1 for item in group), 0
        group.append(token)
        length += len(token.text) + 1
        if re.search(r"[.!?…。！？]\W*$", token.text):
            sentence_end = len(group)
    return [*groups, tuple(group)]


def _unsupported(script: Script) -> list[SpeechNote]:
    sentences = {
        "This voice cannot stress words: *emphasis* shows in the face only.": script.has_emphasis,
        "This voice cannot change its pace within a scene; set the voice's speed.": script.changes_pace,
    }
    return [SpeechNote("speech.markup_unsupported", message) for message, true in sentences.items() if true]
