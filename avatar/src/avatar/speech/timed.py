"""A finished WAV and the text said in it -> word and phone times: align, else recognise, else follow the
loudness.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pocketsphinx import Decoder, set_loglevel

from avatar.speech.acoustic import FRAME_MS, MODEL_RATE_HZ, display_ipa, model_folder, model_sound
from avatar.speech.align import AlignedWord, Aligner
from avatar.speech.arpabet import IPA
from avatar.speech.markup import Token
from avatar.speech.sound import Levels, duration_ms, power, quiet_spans, quietest_moment, rate_hz
from avatar.speech.wordtimes import append_phone, until_last_sound
from avatar.tracks import Phone, SpeechNote, SpeechTrack, Word

FASTEST_WORDS_PER_SECOND = 7.0
MISSING_SHARE = 0.2
SLOWEST_SOUNDS_PER_SECOND = 3.0
SHORT_PAUSE_MS = 100
WINDOW_MS = 20_000
EARLIEST_CUT_MS = 12_000
ENERGY_PHONE = "ə"
ENERGY_STEP_MS = 160


@dataclass(frozen=True, slots=True)
class Stretch:
    """A span of the WAV in which the words first..last-1 of the text are said."""

    first: int
    last: int
    start_ms: int
    end_ms: int


def build_track(
    wav: Path,
    tokens: Sequence[Token],
    stretches: Sequence[Stretch],
    language: str,
    pronunciation: dict[str, str],
    notes: Sequence[SpeechNote],
) -> SpeechTrack:
    """The track of a WAV that `avatar.speech` wrote; adds a note when times are less than aligned."""
    length_ms, levels = duration_ms(wav), power(wav)
    speech_ms = max(0, length_ms - sum(end - start for start, end in quiet_spans(levels, 60)))
    notes = list(notes)
    words: tuple[Word, ...] = ()
    phones: Sequence[Phone] = ()
    source = "energy"
    if speech_ms == 0:
        notes.append(SpeechNote("speech.silent", "The sound is silent: the mouth stays shut."))
    elif tokens and (aligned := _aligned(wav, levels, tokens, stretches, language, pronunciation, speech_ms)):
        words = tuple(word for stretch in stretches for word in words_as_written(tokens, aligned, stretch))
        phones = [phone for word in aligned for phone in word.phones]
        source = "aligned"
        if len(aligned) < len(tokens):
            missing = len(tokens) - len(aligned)
            notes.append(
                SpeechNote(
                    "speech.words_missing",
                    f"{missing} of {len(tokens)} words were not heard; their times are guessed.",
                )
            )
    else:
        if tokens:
            notes.append(
                SpeechNote(
                    "speech.alignment_failed",
                    "Text and sound do not fit each other: the mouth follows the sound, words are guessed.",
                )
            )
            words = tuple(word for stretch in stretches for word in spread(tokens, levels, stretch))
        phones, source = recognise_phones(wav, levels, length_ms), "recognised"
        if len(phones) < SLOWEST_SOUNDS_PER_SECOND * speech_ms / 1000:
            # A phone loop hears one long noise where nobody speaks.
            phones, source = energy_phones(levels, length_ms), "energy"
            notes.append(
                SpeechNote(
                    "speech.energy_only", "No speech sounds were recognised: the mouth follows the loudness."
                )
            )
    with_gaps = with_pauses(phones, levels, length_ms)
    return SpeechTrack(
        wav=wav,
        sample_rate_hz=rate_hz(wav),
        duration_ms=length_ms,
        words=tuple(until_last_sound(words, with_gaps)),
        phones=with_gaps,
        notes=tuple(notes),
        phone_source=source,
    )


def _aligned(
    wav: Path,
    levels: Levels,
    tokens: Sequence[Token],
    stretches: Sequence[Stretch],
    language: str,
    pronunciation: dict[str, str],
    speech_ms: int,
) -> tuple[AlignedWord, ...]:
    """() when text and sound do not belong together."""
    if len(tokens) > 1 + FASTEST_WORDS_PER_SECOND * speech_ms / 1000:
        return ()
    aligner = Aligner([token.text for token in tokens], language, pronunciation, wav, levels)
    found: list[AlignedWord] = []
    for stretch in stretches:
        found += aligner.align(stretch.first, stretch.last, stretch.start_ms, stretch.end_ms)
    return tuple(found) if len(tokens) - len(found) <= MISSING_SHARE * len(tokens) else ()


def words_as_written(
    tokens: Sequence[Token], aligned: Sequence[AlignedWord], stretch: Stretch
) -> tuple[Word, ...]:
    """All words of the text: the found ones at their times, the others between their neighbours."""
    times: dict[int, tuple[int, int]] = {}
    for word in aligned:
        end = word.phones[-1].end_ms if word.phones else word.end_ms
        times[word.index] = (word.start_ms, end)
    words: list[Word] = []
    at = stretch.start_ms
    index = stretch.first
    while index < stretch.last:
        if index in times:
            begin, end = times[index]
            words.append(Word(tokens[index].text, begin, max(end, begin), tokens[index].emphasis))
            at = words[-1].end_ms
            index += 1
            continue
        stop = next((later for later in range(index, stretch.last) if later in times), stretch.last)
        until = times[stop][0] if stop < stretch.last else stretch.end_ms
        step = max(0, until - at) / (stop - index)
        for number, token in enumerate(tokens[index:stop]):
            words.append(
                Word(token.text, round(at + number * step), round(at + (number + 1) * step), token.emphasis)
            )
        index, at = stop, until
    return tuple(words)


def spread(all_tokens: Sequence[Token], levels: Levels, stretch: Stretch) -> tuple[Word, ...]:
    """Words over the sounding parts of a recording, by their lengths: an estimate when alignment fails."""
    tokens = all_tokens[stretch.first : stretch.last]
    start_ms, end_ms = stretch.start_ms, stretch.end_ms
    sounding: list[tuple[int, int]] = []
    at = start_ms
    for start, end in [*quiet_spans(levels, 150), (end_ms, end_ms)]:
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
        return round(sounding[span][0] + position - float(marks[span]))

    edges = [moment(float(position)) for position in positions]
    return tuple(
        Word(token.text, edges[index], max(edges[index], edges[index + 1]), token.emphasis)
        for index, token in enumerate(tokens)
    )


def with_pauses(phones: Sequence[Phone], levels: Levels, length_ms: int) -> tuple[Phone, ...]:
    """Fill the gaps between phones with silence, and silence every phone where the sound pauses for 100 ms.

    Recognisers stretch the last sound of a phrase over the pause behind it; the mouth must not.
    """
    pauses = iter([*quiet_spans(levels, SHORT_PAUSE_MS), (length_ms + 1, length_ms + 1)])
    pause = next(pauses)
    result: list[Phone] = []

    at = 0
    for phone in phones:
        start, end = max(phone.start_ms, at), min(phone.end_ms, length_ms)
        append_phone(result, "", at, start)
        at = max(at, start)
        while at < end:
            while pause[1] <= at:
                pause = next(pauses)
            if pause[0] <= at:
                append_phone(result, "", at, min(pause[1], end))
                at = min(pause[1], end)
            else:
                append_phone(result, phone.ipa, at, min(pause[0], end))
                at = min(pause[0], end)
    append_phone(result, "", at, length_ms)
    return tuple(result)


def recognise_phones(wav: Path, levels: Levels, length_ms: int) -> list[Phone]:
    """Returns the phones of an English phone loop; [] for none. Windows are cut at the quietest moment."""
    set_loglevel("FATAL")
    decoder = Decoder(
        hmm=str(model_folder() / "en-us"),
        allphone=str(model_folder() / "en-us-phone.lm.bin"),
        lm=None,
        beam=1e-20,
        pbeam=1e-20,
        lw=2.0,
        loglevel="FATAL",
        samprate=MODEL_RATE_HZ,
    )
    phones: list[Phone] = []
    for start_ms, end_ms in _windows(levels, length_ms):
        decoder.start_utt()
        decoder.process_raw(model_sound(wav, start_ms, end_ms).tobytes(), full_utt=True)
        decoder.end_utt()
        for segment in decoder.seg() or ():
            ipa = IPA.get(segment.word)
            if ipa is None:
                continue
            start = start_ms + segment.start_frame * FRAME_MS
            end = min(start_ms + (segment.end_frame + 1) * FRAME_MS, end_ms)
            phones.append(Phone(display_ipa(segment.word, ipa, end - start), start, end))
    return phones


def _windows(levels: Levels, length_ms: int) -> Iterator[tuple[int, int]]:
    start = 0
    while length_ms - start > WINDOW_MS:
        cut = quietest_moment(levels, start + EARLIEST_CUT_MS, start + WINDOW_MS)
        yield start, cut
        start = cut
    if start < length_ms:
        yield start, length_ms


def energy_phones(levels: Levels, length_ms: int) -> list[Phone]:
    """A neutral vowel wherever it is not quiet; timing lets the loudness open the mouth."""
    phones: list[Phone] = []
    at = 0
    for start, end in [*quiet_spans(levels, 60), (length_ms, length_ms)]:
        phones += [
            Phone(ENERGY_PHONE, begin, min(begin + ENERGY_STEP_MS, start))
            for begin in range(at, start, ENERGY_STEP_MS)
        ]
        at = max(at, end)
    return phones
