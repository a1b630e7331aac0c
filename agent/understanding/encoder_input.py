"""Cuts a sentence into word pieces for the encoder: names of things by their kinds, quotations by a mark."""

from __future__ import annotations

from dataclasses import dataclass

from agent.memory.sentence_model import CLS, SEP, WordPieces
from agent.understanding.sentence import Sentence, shape_of
from agent.understanding.world import SURE_NAME, Mention, kind_of_live

MOST_PIECES = 96
"""What is behind them is not looked at."""
MARKS = ("plain", "title", "upper", "digit", "sign", "text", "name", "perhaps a name", "path")
"""What a word piece cannot show; each has a trained vector of its own."""
KIND_WORDS = {"persona": "presenter", "render": "video", "channel": "account"}
"""The words of the vocabulary for kinds of things; the other kinds are such words."""
QUOTATION = "text"

_MARK = {name: place for place, name in enumerate(MARKS)}


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """Holds the numbers of the pieces and their marks, and for each token the place of its first piece: -1
    for one that was cut off.
    """

    pieces: tuple[int, ...]
    marks: tuple[int, ...]
    first: tuple[int, ...]


def encoder_input(sentence: Sentence, vocabulary: WordPieces) -> EncoderInput:
    """Returns what the encoder sees of a sentence."""
    pieces, marks = [vocabulary.number(CLS)], [0]
    first = [-1] * len(sentence.tokens)
    place = 0
    while place < len(sentence.tokens) and len(pieces) < MOST_PIECES - 1:
        name = _name_at(sentence, place)
        end = name.end if name is not None else place + 1
        text, mark = _kinds(sentence, name) if name is not None else _shown(sentence, place)
        some = vocabulary.numbers_of(text)[: MOST_PIECES - 1 - len(pieces)]
        for token in range(place, end):
            first[token] = len(pieces) if some else -1
        pieces += some
        marks += [_MARK[mark]] * len(some)
        place = end
    return EncoderInput((*pieces, vocabulary.number(SEP)), (*marks, 0), tuple(first))


def _name_at(sentence: Sentence, place: int) -> Mention | None:
    here = [one for one in sentence.mentions if one.start == place and one.sureness >= SURE_NAME]
    return max(here, key=lambda one: one.end, default=None)


def _kinds(sentence: Sentence, name: Mention) -> tuple[str, str]:
    kinds = {
        kind_of_live(one.thing.kind)
        for one in sentence.mentions
        if (one.start, one.end) == (name.start, name.end) and one.sureness >= SURE_NAME
    }
    return " ".join(KIND_WORDS.get(kind, kind) for kind in sorted(kinds)), "name"


def _shown(sentence: Sentence, place: int) -> tuple[str, str]:
    """Returns a token that is no known name as the encoder reads it, and its mark."""
    token = sentence.tokens[place]
    word = sentence.word(place)
    if word == "<text>":
        return QUOTATION, "text"
    if word == "<path>":
        return "file", "path"
    if word == "<id>":
        return "id", "digit"
    if sentence.kinds_at(place):
        return word if word[0] != "<" else token.lower, "perhaps a name"
    shape = shape_of(token)
    if shape == "digit":
        return token.lower, "digit"
    mark = "sign" if not token.text[0].isalnum() else shape.rstrip("-")
    return (word if word[0] != "<" else token.lower), mark if mark in _MARK else "plain"
