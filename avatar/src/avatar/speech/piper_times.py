"""Turns the symbols of a Piper voice and their lengths into phones and the starts of words; used by
`piper_process`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

from avatar.speech.passages import SpokenTimes

Chunk = Sequence[tuple[str, int]]
"""The symbols of a sentence with their samples; the samples add up to its sound."""
_STRESS = ("ˈ", "ˌ")


def times_of(chunks: Sequence[Chunk], readings: Sequence[Sequence[str]], rate_hz: int) -> SpokenTimes:
    """Returns when each phone and each word begins, in ms from the start of the sound.

    `readings`: the symbols of each word read by itself. A word that runs into its neighbours has no start
    of its own.
    """
    phones: list[tuple[str, int]] = []
    after_space: list[bool] = []
    at = 0
    for chunk in chunks:
        begins, between_words = at, True
        for place, (symbol, samples) in enumerate(chunk):
            if symbol in _STRESS:
                # Its time is the vowel's: that begins where the mark does.
                at += samples
                continue
            if _is_modifier(symbol) and phones and phones[-1][0]:
                phones[-1] = (unicodedata.normalize("NFC", phones[-1][0] + symbol), phones[-1][1])
            elif symbol[:1].isalpha():
                phones.append((symbol, begins))
                after_space.append(between_words)
                between_words = False
            elif symbol == " " and not _is_pause(chunk, place):
                # Words that follow each other without a pause: its time is the end of the phone before.
                between_words = True
            else:
                phones.append(("", begins))
                after_space.append(False)
                between_words = True
            at += samples
            begins = at
    starts = _word_starts(phones, after_space, readings)
    return SpokenTimes(
        tuple((name, sample * 1000 // rate_hz) for name, sample in phones),
        tuple(None if sample is None else sample * 1000 // rate_hz for sample in starts),
    )


def _is_modifier(symbol: str) -> bool:
    """Returns whether it lengthens or colours the phone before: ː, ʲ, the tilde of a nasal vowel."""
    return unicodedata.category(symbol[:1]) in ("Lm", "Mn")


def _is_pause(chunk: Chunk, place: int) -> bool:
    """Returns whether the space stands beside a sign that is a pause."""
    neighbours = (chunk[at][0] for at in (place - 1, place + 1) if 0 <= at < len(chunk))
    return any(not symbol[:1].isalpha() and symbol not in _STRESS for symbol in neighbours)


def _word_starts(
    phones: Sequence[tuple[str, int]], after_space: Sequence[bool], readings: Sequence[Sequence[str]]
) -> list[int | None]:
    """Finds each word's first phone, by the longest sequences that the text and its words read one by one
    have in common: a sentence weakens vowels and joins words.
    """
    sounding = [place for place, (name, _) in enumerate(phones) if name]
    expected = [
        (symbol, word)
        for word, symbols in enumerate(readings)
        for symbol in symbols
        if symbol[:1].isalpha() and not _is_modifier(symbol)
    ]
    owners: list[int | None] = [None] * len(sounding)
    sounds = [unicodedata.normalize("NFD", phones[place][0])[:1] for place in sounding]
    matcher = SequenceMatcher(None, [symbol for symbol, _ in expected], sounds, autojunk=False)
    for first, second, length in matcher.get_matching_blocks():
        for step in range(length):
            owners[second + step] = expected[first + step][1]
    following: int | None = None
    for place in reversed(range(len(sounding))):
        if owners[place] is not None:
            following = owners[place]
        elif following is not None and after_space[sounding[place]]:
            # An altered first sound belongs to the word whose other sounds are found behind it.
            owners[place] = following
    starts: list[int | None] = [None] * len(readings)
    for place, owner in enumerate(owners):
        if owner is not None and starts[owner] is None:
            starts[owner] = phones[sounding[place]][1]
    return starts
