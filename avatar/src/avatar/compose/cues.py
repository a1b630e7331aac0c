"""Words with times to caption cues, which VTT, SRT and burned captions share."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

MIN_CUE_MS = 1000
MAX_CUE_MS = 6000
PAUSE_MS = 700
GAP_TO_CLOSE_MS = 300
_SENTENCE_ENDS = frozenset(".!?…。！？؟۔।")
_CLAUSE_ENDS = frozenset(",;:，、；：،؛—–")
_CLOSERS = "\"'»”’)]}）」』"


class TimedWord(Protocol):
    """A word with its times in milliseconds."""

    @property
    def text(self) -> str: ...
    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption: `lines` from top to bottom, shown from `start_ms` up to `end_ms`."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


def make_cues(
    words: Sequence[TimedWord], total_ms: int, max_chars: int = 42, max_lines: int = 2
) -> list[Cue]:
    """Cues of at most `max_lines` lines of `max_chars` columns that never overlap and end with the video.

    A cue ends with a sentence, at a pause, or where its room or time is used up, then preferably at a comma.
    It is shown for at least a second where the next one leaves time for it.
    """
    groups = [group for sentence in _sentences(words) for group in _groups(sentence, max_chars, max_lines)]
    cues: list[Cue] = []
    for index, group in enumerate(groups):
        start = min(group[0].start_ms, total_ms)
        following = groups[index + 1][0].start_ms if index + 1 < len(groups) else total_ms
        end = max(group[-1].end_ms, start + MIN_CUE_MS)
        if following - end < GAP_TO_CLOSE_MS:
            end = following
        end = min(end, total_ms)
        if end > start:
            cues.append(Cue(start, end, tuple(break_lines([w.text for w in group], max_chars, max_lines))))
    return cues


def columns(text: str) -> int:
    """Width of `text` in columns: wide East Asian characters count twice, combining marks not at all."""
    return sum(_column(char) for char in text)


def break_lines(words: Sequence[str], max_chars: int, max_lines: int) -> list[str]:
    """Balanced lines: as few as possible, and the longest of them as short as possible."""
    pieces = [piece for word in words for piece in _fit_word(word, max_chars)]
    for count in range(1, max_lines + 1):
        lines = _balanced(pieces, count, max_chars)
        if lines is not None:
            return lines
    return _greedy(pieces, max_chars)


def _sentences(words: Sequence[TimedWord]) -> Iterable[list[TimedWord]]:
    current: list[TimedWord] = []
    for word in words:
        if current and word.start_ms - current[-1].end_ms >= PAUSE_MS:
            yield current
            current = []
        current.append(word)
        if _ends_with(word.text, _SENTENCE_ENDS):
            yield current
            current = []
    if current:
        yield current


def _groups(sentence: list[TimedWord], max_chars: int, max_lines: int) -> Iterable[list[TimedWord]]:
    """Cuts a sentence that does not fit one cue, at the last comma past its middle where there is one."""
    rest = sentence
    while rest:
        count = _fitting(rest, max_chars, max_lines)
        if count < len(rest):
            commas = [i for i in range(count // 2, count) if _ends_with(rest[i].text, _CLAUSE_ENDS)]
            count = commas[-1] + 1 if commas else count
            if len(rest) - count < 2 and count > 2:
                count -= 1  # no single word left alone in the last cue
        yield rest[:count]
        rest = rest[count:]


def _fitting(words: list[TimedWord], max_chars: int, max_lines: int) -> int:
    count = 1
    while count < len(words):
        if words[count].end_ms - words[0].start_ms > MAX_CUE_MS:
            break
        pieces = [piece for word in words[: count + 1] for piece in _fit_word(word.text, max_chars)]
        if len(_greedy(pieces, max_chars)) > max_lines:
            break
        count += 1
    return count


def _greedy(pieces: Sequence[str], max_chars: int) -> list[str]:
    lines: list[str] = []
    for piece in pieces:
        if lines and columns(lines[-1]) + 1 + columns(piece) <= max_chars:
            lines[-1] += " " + piece
        else:
            lines.append(piece)
    return lines


def _balanced(pieces: Sequence[str], count: int, max_chars: int) -> list[str] | None:
    """At most `count` lines in the narrowest width that allows it; None when `max_chars` does not."""
    longest = max((columns(piece) for piece in pieces), default=0)
    for width in range(longest, max_chars + 1):
        lines = _greedy(pieces, width)
        if len(lines) <= count:
            return lines
    return None


def _fit_word(word: str, max_chars: int) -> list[str]:
    """A word wider than a line (a URL, or a script without spaces) is cut; others stay whole."""
    if columns(word) <= max_chars:
        return [word]
    pieces, current = [], ""
    for char in word:
        if columns(current) + _column(char) > max_chars:
            pieces.append(current)
            current = ""
        current += char
    return [*pieces, current]


def _column(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _ends_with(text: str, marks: frozenset[str]) -> bool:
    bare = text.rstrip(_CLOSERS)
    return bool(bare) and bare[-1] in marks
