"""Words with times to caption cues, which VTT, SRT, the embedded track and burned captions share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from avatar.compose.phrases import JOINED, SENTENCE, Piece, TimedWord, columns, pieces_of

MIN_CUE_MS = 800
MAX_CUE_MS = 6000
READABLE_CPS = 17.0
"""Columns a second that people can read; wide characters count as two."""
PAUSE_MS = 700
GAP_TO_CLOSE_MS = 300
LINGER_MS = 350
"""A caption stays this much longer than its last word, where nothing follows."""
EARLY_MS = 400
"""A caption may come this much before its first word, when it could not be read otherwise."""
_IMPOSSIBLE = float("inf")


@dataclass(frozen=True, slots=True)
class CueWord:
    """A word of a line, for highlights; `start_ms` is when it is spoken."""

    line: int
    text: str
    start_ms: int
    spaced: bool


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption: `lines` from top to bottom, shown from `start_ms` up to `end_ms`."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]
    words: tuple[CueWord, ...] = ()

    @property
    def columns_per_second(self) -> float:
        """Returns how fast it must be read."""
        return 1000 * sum(map(columns, self.lines)) / max(1, self.end_ms - self.start_ms)


def make_cues(
    words: Sequence[TimedWord],
    total_ms: int,
    max_chars: int = 42,
    max_lines: int = 2,
    language: str = "en",
    turns: Collection[int] = (),
) -> list[Cue]:
    """Cues of at most `max_lines` lines of `max_chars` columns that never overlap and end with the video.
    `turns`: numbers of the words with which another speaker begins; no cue holds words of two.

    Of all ways to cut the words the one that reads best is taken: cues of 0.8 to 6 s and at most 17 columns
    a second where the voice leaves time for it, that end with a sentence, else at a comma, else before a
    phrase, never with an abbreviation that the sentence goes on behind.
    """
    pieces = [piece for piece in pieces_of(words, language, max_chars, turns) if piece.start_ms < total_ms]
    cues: list[Cue] = []
    free_from = 0
    for first, last in _best_cuts(pieces, total_ms, max_chars, max_lines):
        group = pieces[first:last]
        following = min(pieces[last].start_ms, total_ms) if last < len(pieces) else total_ms
        width = _width(group)
        needed = max(MIN_CUE_MS, round(1000 * width / READABLE_CPS))
        start = group[0].start_ms
        end = max(group[-1].end_ms + LINGER_MS, start + needed)
        if following - end < GAP_TO_CLOSE_MS:
            end = following
        end = max(min(end, total_ms, start + MAX_CUE_MS), min(group[-1].end_ms, total_ms, following))
        if end - start < needed:
            start = max(free_from, start - EARLY_MS, end - needed)
        if end > start:
            lines = _lines(group, max_chars, max_lines)
            cues.append(Cue(start, end, tuple(map(_joined, lines)), _cue_words(lines)))
            free_from = end
    return cues


def _best_cuts(
    pieces: Sequence[Piece], total_ms: int, max_chars: int, max_lines: int
) -> list[tuple[int, int]]:
    """First and last index (exclusive) of each cue, of the cheapest way to cut all of them."""
    costs = [0.0] + [_IMPOSSIBLE] * len(pieces)
    before = [0] * (len(pieces) + 1)
    for last in range(1, len(pieces) + 1):
        width = 0
        for first in range(last - 1, -1, -1):
            width += columns(pieces[first].text) + 1
            if width > max_lines * (max_chars + 1) and last - first > 1:
                break
            cost = costs[first] + _cue_cost(pieces, first, last, total_ms, max_chars, max_lines)
            if cost < costs[last]:
                costs[last], before[last] = cost, first
        if costs[last] == _IMPOSSIBLE:
            costs[last], before[last] = costs[last - 1] + JOINED, last - 1
    cuts: list[tuple[int, int]] = []
    end = len(pieces)
    while end > 0:
        cuts.append((before[end], end))
        end = before[end]
    return cuts[::-1]


def _cue_cost(
    pieces: Sequence[Piece], first: int, last: int, total_ms: int, max_chars: int, max_lines: int
) -> float:
    group = pieces[first:last]
    start, spoken_until = group[0].start_ms, group[-1].end_ms
    if last - first > 1 and (
        any(piece.opens_turn for piece in group[1:])
        or spoken_until - start > MAX_CUE_MS
        or _fewest_lines(group, max_chars, max_lines) is None
    ):
        return _IMPOSSIBLE
    following = pieces[last].start_ms if last < len(pieces) else total_ms
    shown_s = max(1, min(following - start, MAX_CUE_MS)) / 1000
    width = _width(group)
    cost = 10.0 + 2.0 * group[-1].break_cost
    cost += 400.0 * max(0.0, MIN_CUE_MS / 1000 - shown_s)
    cost += 12.0 * max(0.0, width / shown_s - READABLE_CPS)
    for piece, after in pairwise(group):
        if after.start_ms - piece.end_ms >= PAUSE_MS:
            cost += 90.0
        elif piece.break_cost == SENTENCE:
            cost += 45.0  # two sentences share a cue only when one alone would be gone too soon
    if last < len(pieces) and last - first == 1 and group[-1].break_cost > SENTENCE:
        cost += 25.0
    if first > 0 and last - first == 1 and pieces[first - 1].break_cost > SENTENCE:
        cost += 25.0  # no single word left alone
    return cost


def _lines(group: Sequence[Piece], max_chars: int, max_lines: int) -> list[list[Piece]]:
    count = _fewest_lines(group, max_chars, max_lines)
    if count is None:
        return _greedy(group, max_chars)
    best = _parted(group, count, max_chars)
    return _greedy(group, max_chars) if best is None else best[1]


def _fewest_lines(group: Sequence[Piece], max_chars: int, max_lines: int) -> int | None:
    count = len(_greedy(group, max_chars))
    return count if count <= max_lines else None


def _parted(group: Sequence[Piece], count: int, max_chars: int) -> tuple[float, list[list[Piece]]] | None:
    """The best way to part `group` into `count` lines, and its cost."""
    if count == 1:
        width = _width(group)
        return (0.0, [list(group)]) if width <= max_chars else None
    ideal = _width(group) / count
    best: tuple[float, list[list[Piece]]] | None = None
    for cut in range(1, len(group) - count + 2):
        width = _width(group[:cut])
        if width > max_chars:
            break
        rest = _parted(group[cut:], count - 1, max_chars)
        if rest is None:
            continue
        uneven = abs(width - ideal) + (1.5 if width > ideal else 0)
        cost = rest[0] + group[cut - 1].break_cost + 1.1 * uneven
        if best is None or cost < best[0]:
            best = (cost, [list(group[:cut]), *rest[1]])
    return best


def _greedy(group: Sequence[Piece], max_chars: int) -> list[list[Piece]]:
    lines: list[list[Piece]] = []
    width = 0
    for piece in group:
        wide = columns(piece.text)
        gap = int(piece.spaced and bool(lines))
        if lines and width + gap + wide <= max_chars:
            lines[-1].append(piece)
            width += gap + wide
        else:
            lines.append([piece])
            width = wide
    return lines


def _joined(line: Sequence[Piece]) -> str:
    return "".join((" " if piece.spaced and index else "") + piece.text for index, piece in enumerate(line))


def _width(group: Sequence[Piece]) -> int:
    return sum(columns(piece.text) + piece.spaced for piece in group) - group[0].spaced


def _cue_words(lines: Sequence[Sequence[Piece]]) -> tuple[CueWord, ...]:
    return tuple(
        CueWord(number, piece.text, piece.start_ms, piece.spaced and index > 0)
        for number, line in enumerate(lines)
        for index, piece in enumerate(line)
    )
