"""Finds where a text may be broken by sense: sentences, abbreviations, scripts without spaces; for cues."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from avatar.spec.sentences import CLOSERS, OPENERS, SENTENCE_ENDS, ends_sentence, is_abbreviation

SENTENCE, CLAUSE, PHRASE, PLAIN, INSIDE, JOINED = 0.0, 3.0, 6.0, 10.0, 22.0, 500.0
"""Costs of a break: after a sentence, a comma, before a phrase, anywhere, after an article, and inside what
must not be parted: an abbreviation and what it belongs to, a number and its unit.
"""

_CLAUSE_ENDS = frozenset(",;:，、；：،؛—–")
_OPENING_WORDS_TEXT = """
a an the and or but nor so yet of in on at by for from to with into onto over under about after before
because since until while when where which who that if than as is are was were be been has have had will
would can could may might must shall should not my your his her its our their this these those der die
das den dem des ein eine einen einem einer eines und oder aber von in im an am auf aus bei mit nach zu
zum zur für über unter vor weil dass wenn als ist sind war waren wird werden nicht le la les un une des
du de et ou mais à au aux en dans sur sous par pour avec qui que est sont ne pas el los las una unos unas
y o pero del al con por para sin sobre es son no il lo gli i uno e ma di da su tra fra che è sono non
"""
_OPENING_WORDS = frozenset(_OPENING_WORDS_TEXT.split())
"""Words that belong to what follows: no line ends with one, and a line that begins with one reads well."""

_UNITS = re.compile(
    r"^(?:%|‰|°\w?|[kcmµn]?[mglswavhb]|km/h|kg|gb|mb|kb|tb|hz|khz|mhz|ghz|million|billion)\W*$", re.I
)
_NUMBER = re.compile(r"^[\d.,:/]+$")
_SPACELESS = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_THAI = re.compile(r"[\u0e00-\u0e7f]")
_KANA = re.compile(r"[\u3040-\u30ff]")


class TimedWord(Protocol):
    """A word with its times in milliseconds."""

    @property
    def text(self) -> str: ...
    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Piece:
    """Holds what no line's end parts. `spaced`: a space lies before it, in the middle of a line.

    `break_cost` is what ending a line or a cue behind it costs. `opens_turn`: another speaker begins with it.
    """

    text: str
    start_ms: int
    end_ms: int
    spaced: bool = True
    break_cost: float = PLAIN
    opens_turn: bool = False


def columns(text: str) -> int:
    """Width of `text` in columns: wide East Asian characters count twice, combining marks not at all."""
    return sum(_column(char) for char in text)


def pieces_of(
    words: Sequence[TimedWord], language: str, max_chars: int, turns: Collection[int] = ()
) -> list[Piece]:
    """The words of a scene as pieces of at most `max_chars` columns, each with the cost of a break after it.
    `turns`: numbers of the words with which another speaker begins.

    Chinese, Japanese and Thai have no spaces: BudouX cuts them by phrases, whose times follow from their
    share of the word. Khmer, Lao and Burmese are cut between letters.
    """
    parts: list[tuple[str, int, int, bool]] = []
    opening: set[int] = set()
    for place, word in enumerate(words):
        if place in turns:
            opening.add(len(parts))
        texts = [one for part in _segments(word.text, language) for one in _fit(part, max_chars)]
        total, at = sum(map(columns, texts)) or 1, 0
        for number, text in enumerate(texts):
            begin = word.start_ms + round((word.end_ms - word.start_ms) * at / total)
            at += columns(text)
            end = word.start_ms + round((word.end_ms - word.start_ms) * at / total)
            parts.append((text, begin, end, number == 0))
    costs = [
        _cost(text, parts[index + 1] if index + 1 < len(parts) else None)
        for index, (text, *_) in enumerate(parts)
    ]
    return [
        Piece(*part, break_cost=cost, opens_turn=number in opening)
        for number, (part, cost) in enumerate(zip(parts, costs, strict=True))
    ]


def _cost(text: str, after: tuple[str, int, int, bool] | None) -> float:
    if after is None:
        return SENTENCE
    following, _, _, spaced = after
    bare = text.rstrip(CLOSERS)
    if is_abbreviation(text, following if spaced else None):
        return JOINED
    if ends_sentence(text, following):
        return SENTENCE
    if bare and bare[-1] in _CLAUSE_ENDS:
        return CLAUSE
    if _NUMBER.match(text) and _UNITS.match(following):
        return JOINED
    if text.casefold() in _OPENING_WORDS:
        return INSIDE
    if following.casefold() in _OPENING_WORDS:
        return PHRASE
    return PLAIN if spaced or _SPACELESS.search(text) else JOINED / 2


def _segments(text: str, language: str) -> list[str]:
    if not _SPACELESS.search(text):
        return [text]
    parser = _parser(_model(text, language.casefold()))
    if parser is None:
        return [text]
    joined: list[str] = []
    for part in parser.parse(text):
        # Closing marks never begin a line, opening ones never end it.
        closes = part[0] in CLOSERS or part[0] in SENTENCE_ENDS | _CLAUSE_ENDS
        if joined and (closes or joined[-1][-1] in OPENERS):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def _model(text: str, language: str) -> str:
    if _THAI.search(text):
        return "th"
    if language.startswith("ja") or _KANA.search(text):
        return "ja"
    traditional = ("zh-tw", "zh-hk", "zh-hant", "yue", "cmn-hant")
    return "zh-hant" if language.startswith(traditional) else "zh-hans"


@cache
def _parser(model: str):  # type: ignore[no-untyped-def] # budoux has no types
    import budoux

    opened = {
        "th": budoux.load_default_thai_parser,
        "ja": budoux.load_default_japanese_parser,
        "zh-hans": budoux.load_default_simplified_chinese_parser,
        "zh-hant": budoux.load_default_traditional_chinese_parser,
    }
    return opened[model]()


def _fit(text: str, max_chars: int) -> list[str]:
    """A word wider than a line (a URL, or a script without spaces) is cut; others stay whole."""
    if columns(text) <= max_chars:
        return [text]
    pieces, current = [], ""
    for char in text:
        if columns(current) + _column(char) > max_chars:
            pieces.append(current)
            current = ""
        current += char
    return [*pieces, current]


def _column(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
