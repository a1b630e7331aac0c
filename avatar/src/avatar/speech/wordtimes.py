"""Joins an engine's event times with the words as written; used by all voices that tell times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avatar.speech.pieces import Piece
from avatar.tracks import Phone, SpeechNote, SpeechTrack, Word


@dataclass(frozen=True, slots=True)
class WordEvent:
    """A word begins: character position in the piece's text, sample in the WAV."""

    piece: int
    position: int
    length: int
    sample: int


@dataclass(frozen=True, slots=True)
class Events:
    """The words and phonemes of a voice, and where each piece ends: the silence before the first word is the
    first, that behind the last word the last. Samples count from the start of the WAV, `rate_hz` a second.
    """

    rate_hz: int
    samples: int
    words: tuple[WordEvent, ...]
    phonemes: tuple[tuple[str, int], ...]
    piece_ends: tuple[int, ...]
    exact_language: bool = True


def track_from_events(
    wav: Path, rate_hz: int, pieces: Sequence[Piece], events: Events, notes: Sequence[SpeechNote]
) -> SpeechTrack:
    """The track of a voice that has told all times. `rate_hz`: of the WAV."""
    phones = _phones(events)
    return SpeechTrack(
        wav=wav,
        sample_rate_hz=rate_hz,
        duration_ms=events.samples * 1000 // events.rate_hz,
        words=_words(pieces, events, phones),
        phones=phones,
        notes=tuple(notes),
        phone_source="engine",
    )


def append_phone(phones: list[Phone], ipa: str, start_ms: int, end_ms: int) -> None:
    """Adds a phone that lasts; silence behind silence is one."""
    if end_ms <= start_ms:
        return
    if not ipa and phones and not phones[-1].ipa:
        phones[-1] = Phone("", phones[-1].start_ms, end_ms)
    else:
        phones.append(Phone(ipa, start_ms, end_ms))


def _phones(events: Events) -> tuple[Phone, ...]:
    """Phones that follow each other without gaps from 0 to the end; "" is silence."""
    phones: list[Phone] = []
    samples, rate_hz = events.samples, events.rate_hz
    sound_begins, sound_ends = events.piece_ends[0], events.piece_ends[-2]

    def add(ipa: str, start: int, end: int) -> None:
        append_phone(phones, ipa, start * 1000 // rate_hz, end * 1000 // rate_hz)

    # Language switches come as "(en)" and last nothing.
    sounds = [(ipa, sample) for ipa, sample in events.phonemes if not ipa.startswith("(")]
    add("", 0, sound_begins)
    for index, (ipa, sample) in enumerate(sounds):
        end = sounds[index + 1][1] if index + 1 < len(sounds) else samples
        if ipa and sample < sound_ends:
            end = min(end, sound_ends)
        add(ipa, max(sample, sound_begins), end)
    if phones and phones[-1].end_ms * rate_hz // 1000 < samples:
        add("", phones[-1].end_ms * rate_hz // 1000, samples)
    return tuple(phones)


def _words(pieces: Sequence[Piece], events: Events, phones: Sequence[Phone]) -> tuple[Word, ...]:
    """Times for every written word.

    espeak-ng may say several words as one ("of the") or one word as several ("234.50"); the first share
    the time by length, the latter keep the first event.
    """
    starts_of_piece: list[dict[int, int]] = [{} for _ in pieces]
    for event in events.words:
        starts = starts_of_piece[event.piece]
        token = pieces[event.piece].token_at(event.position)
        if token not in starts and token >= max(starts, default=0):
            starts[token] = event.sample * 1000 // events.rate_hz
    words: list[Word] = []
    for index, piece in enumerate(pieces):
        if piece.tokens:
            begin_ms, end_ms = (end * 1000 // events.rate_hz for end in events.piece_ends[index : index + 2])
            words += _words_of_piece(piece, starts_of_piece[index], begin_ms, end_ms)
    return tuple(until_last_sound(words, phones))


def _words_of_piece(piece: Piece, starts: dict[int, int], begin_ms: int, end_ms: int) -> list[Word]:
    known = sorted((starts | {0: starts.get(0, begin_ms)}).items())
    words: list[Word] = []
    for number, (first, start_ms) in enumerate(known):
        last, stop_ms = known[number + 1] if number + 1 < len(known) else (len(piece.tokens), end_ms)
        group = piece.tokens[first:last]
        total = sum(len(token.text) for token in group)
        passed = 0
        for token in group:
            share = (stop_ms - start_ms) * passed // total
            passed += len(token.text)
            until = (stop_ms - start_ms) * passed // total
            words.append(Word(token.text, start_ms + share, start_ms + until, token.emphasis))
    return words


def until_last_sound(words: Sequence[Word], phones: Sequence[Phone]) -> list[Word]:
    """End each word with its last sounding phone instead of the pause behind it."""
    trimmed: list[Word] = []
    cursor = 0
    for word in words:
        while cursor < len(phones) and phones[cursor].end_ms <= word.start_ms:
            cursor += 1
        end_ms = word.start_ms
        look = cursor
        while look < len(phones) and phones[look].start_ms < word.end_ms:
            if phones[look].ipa:
                end_ms = min(word.end_ms, phones[look].end_ms)
            look += 1
        trimmed.append(
            Word(word.text, word.start_ms, end_ms if end_ms > word.start_ms else word.end_ms, word.emphasis)
        )
    return trimmed
