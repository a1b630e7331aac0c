"""Supplied audio -> speech: with a transcript by forced alignment, without one by phone recognition; used by `speak`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avatar.speech.align import AlignedWord, Aligner, with_pauses
from avatar.speech.decode import best_rate_hz, decode_into, probe_rate_hz
from avatar.speech.markup import Script, Token
from avatar.speech.recognise import energy_phones, recognised_phones
from avatar.speech.sound import Levels, WavWriter, power, quiet_spans
from avatar.tracks import Phone, SpeechNote, SpeechTrack, Word

FASTEST_WORDS_PER_SECOND = 7.0
MISSING_SHARE = 0.1


def from_recording(
    audio: Path,
    script: Script | None,
    language: str,
    pronunciation: dict[str, str],
    wav: Path,
    lead_in_ms: int,
    tail_ms: int,
) -> SpeechTrack:
    """Read a recording of any format and find its words and sounds. Raises InvalidInput with a `speech.audio_*` code."""
    rate = best_rate_hz(probe_rate_hz(audio))
    with WavWriter(wav, rate) as writer:
        writer.silence(lead_in_ms)
        decoded = decode_into(audio, writer)
        sound_end_ms = writer.milliseconds
        writer.silence(tail_ms)
    length_ms = writer.milliseconds
    notes: list[SpeechNote] = list(script.notes) if script else []
    if decoded.damaged:
        notes.append(
            SpeechNote(
                "speech.audio_damaged",
                f"Parts of {audio.name} could not be read; the speech is what was left.",
            )
        )
    if script is not None and any(passage.pause_ms for passage in script.passages):
        notes.append(
            SpeechNote(
                "speech.markup_unsupported",
                "Pauses in the text are not applied: the recording keeps its own.",
            )
        )
    tokens = script.tokens if script else ()
    sound = _Sound(wav, rate, length_ms, lead_in_ms, sound_end_ms, power(wav))
    return _track(sound, tokens, language, pronunciation, notes)


class _Sound:
    """A finished WAV: where the speech lies in it, and how loud it is every 10 ms."""

    def __init__(
        self, wav: Path, rate_hz: int, length_ms: int, start_ms: int, end_ms: int, levels: Levels
    ) -> None:
        self.wav, self.rate_hz, self.length_ms = wav, rate_hz, length_ms
        self.start_ms, self.end_ms, self.levels = start_ms, end_ms, levels
        quiet_ms = sum(end - start for start, end in quiet_spans(levels, 60))
        self.speech_ms = max(0, length_ms - quiet_ms)


def _track(
    sound: _Sound,
    tokens: Sequence[Token],
    language: str,
    pronunciation: dict[str, str],
    notes: list[SpeechNote],
) -> SpeechTrack:
    words: tuple[Word, ...] = ()
    phones: Sequence[Phone] = ()
    source = "energy"
    if sound.speech_ms == 0:
        notes.append(SpeechNote("speech.silent", "The recording is silent: the mouth stays shut."))
    elif tokens and (aligned := _aligned(sound, tokens, language, pronunciation, notes)):
        words = words_as_written(tokens, aligned, sound.start_ms, sound.end_ms)
        phones = [phone for word in aligned for phone in word.phones]
        source = "aligned"
    else:
        phones = recognised_phones(sound.wav, sound.levels, sound.length_ms)
        source = "recognised"
        if not _plausible(phones, sound):
            phones, source = energy_phones(sound.levels, sound.length_ms), "energy"
            notes.append(
                SpeechNote(
                    "speech.energy_only", "No speech sounds were recognised: the mouth follows the loudness."
                )
            )
        words = spread(tokens, sound.levels, sound.start_ms, sound.end_ms) if tokens else ()
    return SpeechTrack(
        wav=sound.wav,
        sample_rate_hz=sound.rate_hz,
        duration_ms=sound.length_ms,
        words=words,
        phones=with_pauses(phones, sound.levels, sound.length_ms),
        notes=tuple(notes),
        phone_source=source,
    )


def _aligned(
    sound: _Sound,
    tokens: Sequence[Token],
    language: str,
    pronunciation: dict[str, str],
    notes: list[SpeechNote],
) -> tuple[AlignedWord, ...]:
    """() when text and sound do not belong together."""
    mismatch = SpeechNote(
        "speech.alignment_failed",
        "The text and the recording do not fit each other: the mouth follows the sound, word times are estimates.",
    )
    if len(tokens) > 1 + FASTEST_WORDS_PER_SECOND * sound.speech_ms / 1000:
        notes.append(mismatch)
        return ()
    aligner = Aligner([token.text for token in tokens], language, pronunciation, sound.wav, sound.levels)
    alignment = aligner.align(0, len(tokens), sound.start_ms, sound.end_ms)
    if alignment.missing > MISSING_SHARE * len(tokens):
        notes.append(mismatch)
        return ()
    return alignment.words


def _plausible(phones: Sequence[Phone], sound: _Sound) -> bool:
    """A phone loop hears one long noise where nobody speaks; speech has at least some four sounds a second."""
    return len(phones) >= 3 * sound.speech_ms / 1000


def words_as_written(
    tokens: Sequence[Token], aligned: Sequence[AlignedWord], start_ms: int, end_ms: int
) -> tuple[Word, ...]:
    """All words of the text: the found ones at their times, the others between their neighbours."""
    times: dict[int, tuple[int, int]] = {}
    for word in aligned:
        end = word.phones[-1].end_ms if word.phones else word.end_ms
        times[word.index] = (word.start_ms, end)
    words: list[Word] = []
    at = start_ms
    index = 0
    while index < len(tokens):
        if index in times:
            begin, end = times[index]
            words.append(Word(tokens[index].text, begin, max(end, begin), tokens[index].emphasis))
            at = words[-1].end_ms
            index += 1
            continue
        stop = next((later for later in range(index, len(tokens)) if later in times), len(tokens))
        until = times[stop][0] if stop < len(tokens) else end_ms
        step = max(0, until - at) / (stop - index)
        for number, token in enumerate(tokens[index:stop]):
            words.append(
                Word(token.text, round(at + number * step), round(at + (number + 1) * step), token.emphasis)
            )
        index, at = stop, until
    return tuple(words)


def spread(tokens: Sequence[Token], levels: Levels, start_ms: int, end_ms: int) -> tuple[Word, ...]:
    """Words over the sounding parts of a recording, by their lengths: an estimate when alignment fails."""
    quiet = quiet_spans(levels, 150)
    sounding: list[tuple[int, int]] = []
    at = start_ms
    for start, end in [*quiet, (end_ms, end_ms)]:
        if min(start, end_ms) > at:
            sounding.append((at, min(start, end_ms)))
        at = max(at, end)
    lengths = np.array([end - start for start, end in sounding], dtype=np.float64)
    if not len(lengths):
        sounding, lengths = [(start_ms, end_ms)], np.array([float(max(end_ms - start_ms, 1))])
    marks = np.concatenate(([0.0], np.cumsum(lengths)))
    weights = np.cumsum([0.0, *(len(token.text) + 1.0 for token in tokens)])
    positions = weights / weights[-1] * marks[-1]

    def moment(position: float) -> int:
        span = min(int(np.searchsorted(marks, position, side="right")) - 1, len(sounding) - 1)
        return round(sounding[span][0] + position - marks[span])

    edges = [moment(float(position)) for position in positions]
    return tuple(
        Word(token.text, edges[index], max(edges[index], edges[index + 1]), token.emphasis)
        for index, token in enumerate(tokens)
    )
