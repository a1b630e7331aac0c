"""Joins an engine's event times with the words as written; used by espeak and by the aligner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from avatar.speech.pieces import Piece
from avatar.tracks import Phone, Word


@dataclass(frozen=True, slots=True)
class WordEvent:
    """A word begins: character position in the piece's text, sample in the WAV."""

    piece: int
    position: int
    length: int
    sample: int


def phones_from_events(
    events: Sequence[tuple[str, int]], samples: int, rate_hz: int, sound_begins: int, sound_ends: int
) -> tuple[Phone, ...]:
    """Phones that follow each other without gaps from 0 to the end; "" is silence."""
    phones: list[Phone] = []

    def add(ipa: str, start: int, end: int) -> None:
        start_ms, end_ms = start * 1000 // rate_hz, end * 1000 // rate_hz
        if end_ms <= start_ms:
            return
        if not ipa and phones and not phones[-1].ipa:
            phones[-1] = Phone("", phones[-1].start_ms, end_ms)
        else:
            phones.append(Phone(ipa, start_ms, end_ms))

    # Language switches come as "(en)" and last nothing.
    sounds = [(ipa, sample) for ipa, sample in events if not ipa.startswith("(")]
    add("", 0, sound_begins)
    for index, (ipa, sample) in enumerate(sounds):
        end = sounds[index + 1][1] if index + 1 < len(sounds) else samples
        if ipa and sample < sound_ends:
            end = min(end, sound_ends)
        add(ipa, max(sample, sound_begins), end)
    if phones and phones[-1].end_ms * rate_hz // 1000 < samples:
        add("", phones[-1].end_ms * rate_hz // 1000, samples)
    return tuple(phones)


def words_from_events(
    pieces: Sequence[Piece],
    events: Sequence[WordEvent],
    phones: Sequence[Phone],
    piece_ends: Sequence[int],
    rate_hz: int,
) -> tuple[Word, ...]:
    """Times for every written word.

    espeak-ng may say several words as one ("of the") or one word as several ("234.50"); the first share
    the time by length, the latter keep the first event.
    """
    starts_of_piece: list[dict[int, int]] = [{} for _ in pieces]
    for event in events:
        starts = starts_of_piece[event.piece]
        token = pieces[event.piece].token_at(event.position)
        if token not in starts and token >= max(starts, default=0):
            starts[token] = event.sample * 1000 // rate_hz
    words: list[Word] = []
    for index, piece in enumerate(pieces):
        if piece.tokens:
            begin_ms = piece_ends[index] * 1000 // rate_hz
            end_ms = piece_ends[index + 1] * 1000 // rate_hz
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
