"""Reads a script: words as written, emphasis, pauses and marks no engine knows; every voice of
`avatar.speech` uses it.

Marks: `[pause 500ms]`, `[pause 0.5s]`, `[pause]` (500 ms), `*emphasis*`, and the SSML of
`avatar.speech.ssml`. A backslash keeps `\\[`, `\\*` and `\\<` as text. Any other `[mark]` and `<tag>` is
never read aloud: it is left out and reported.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from avatar.spec import is_spoken
from avatar.spec.acting import read_acting_mark
from avatar.speech.ssml import TAG, is_tag, read_ssml
from avatar.tracks import SpeechNote

DEFAULT_PAUSE_MS = 500
MAX_PAUSE_MS = 60_000
PARAGRAPH_PAUSE_MS = 350

_MARK = re.compile(rf"(?<!\\)\[(?P<bracket>[^\W\d_][^\[\]\n]{{0,80}})\]|{TAG}")
_PAUSE = re.compile(r"pause(?:[\s:=]+(?P<amount>\d+(?:[.,]\d+)?)\s*(?P<unit>ms|s)?)?", re.IGNORECASE)
_EMPHASIS = re.compile(
    r"(?<![\w*\\])(?P<open>\*{1,2})(?=[^\s*])(?P<body>[^*\n]{0,2000}?[^\s*\\])(?P=open)(?![\w*])"
)
_ESCAPE = re.compile(r"\\([\[\]*<>\\])")
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_REPORTED_MARKS = 5


@dataclass(frozen=True, slots=True)
class Token:
    """One word as people wrote it, punctuation included, marks removed."""

    text: str
    emphasis: bool = False
    rate: float = 1.0
    """Of the voice's own pace, as the script says."""
    pace: float = 1.0
    """Of the voice's own pace, for the mood."""
    semitones: float = 0.0
    """Added to the voice's pitch, for the mood."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Words spoken in one breath of text, then a pause of exactly `pause_ms` (0 at the end of the script)."""

    tokens: tuple[Token, ...]
    pause_ms: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script. `text` is what is said, without marks. `pronunciation` adds to the scene's."""

    passages: tuple[Passage, ...]
    notes: tuple[SpeechNote, ...] = ()
    pronunciation: Mapping[str, str] = field(default_factory=dict)
    acting: tuple[tuple[int, str, str], ...] = ()
    """Marks of moods and gestures: number of the word that follows, kind, value."""

    @property
    def tokens(self) -> tuple[Token, ...]:
        return tuple(token for passage in self.passages for token in passage.tokens)

    @property
    def text(self) -> str:
        return " ".join(token.text for token in self.tokens)

    @property
    def has_emphasis(self) -> bool:
        return any(token.emphasis for token in self.tokens)

    @property
    def changes_pace(self) -> bool:
        return any(token.rate != 1.0 for token in self.tokens)


@dataclass(frozen=True, slots=True)
class SpeechTask:
    """Holds how a voice reads a script, and the WAV to write, with so much silence before and behind.
    `cache`: the folder of sentences that were spoken before; None speaks all of them.
    """

    language: str
    pronunciation: dict[str, str]
    wav: Path
    lead_in_ms: int
    tail_ms: int
    cache: Path | None = None


def parse_script(text: str) -> Script:
    """Split a script into passages. Never fails: what it does not understand becomes a note."""
    ssml = read_ssml(_without_controls(text))
    text = ssml.text
    passages: list[Passage] = []
    unknown: dict[str, int] = {}
    notes: list[SpeechNote] = list(dict.fromkeys(ssml.notes))[:_REPORTED_MARKS]
    strong, asterisks = _emphasis_spans(text)
    strong += ssml.strong
    begin, last = 0, len(text.rstrip())
    acting: list[tuple[int, str, str]] = []

    def close(end: int, pause_ms: int) -> None:
        tokens = _tokens(text, begin, end, strong, asterisks, ssml.rates)
        if tokens or pause_ms:
            passages.append(Passage(tokens, pause_ms))

    marks = [match for match in _MARK.finditer(text) if match["tag"] is None or is_tag(match)]
    boundaries = sorted([*marks, *_PARAGRAPH.finditer(text)], key=lambda match: match.start())
    for match in boundaries:
        if match.start() < begin:
            continue
        mark = match.groupdict().get("bracket")
        pause_ms = 0
        acted: tuple[str, str] | None = None
        if match.re is _PARAGRAPH:
            inside = bool(passages or text[begin : match.start()].strip()) and match.end() < last
            pause_ms = PARAGRAPH_PAUSE_MS if begin < match.start() and inside else 0
        elif mark is not None and (pause := _PAUSE.fullmatch(mark.strip())):
            pause_ms = _pause_ms(pause)
            if pause_ms > MAX_PAUSE_MS:
                notes.append(
                    SpeechNote(
                        "speech.pause_shortened",
                        f"{match.group()} is longer than a minute: the pause is 60 s.",
                    )
                )
                pause_ms = MAX_PAUSE_MS
        elif mark is None or (acted := _acting_mark(mark)) is None:
            unknown[match.group()] = unknown.get(match.group(), 0) + 1
        close(match.start(), pause_ms)
        if acted is not None:
            acting.append((sum(len(passage.tokens) for passage in passages), *acted))
        begin = match.end()
    close(len(text), 0)
    notes += _unknown_marks(unknown)
    return Script(_joined(passages), tuple(notes), ssml.pronunciation, tuple(acting))


def _without_controls(text: str) -> str:
    """Control characters would end the text early in C code; line ends become one kind."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        char if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs") else " " for char in text
    )


def _acting_mark(mark: str) -> tuple[str, str] | None:
    try:
        return read_acting_mark(mark)
    except ValueError:  # A scene refuses it; a text that is no scene's reports it as unknown.
        return None


def _pause_ms(pause: re.Match[str]) -> int:
    if pause["amount"] is None:
        return DEFAULT_PAUSE_MS
    amount = float(pause["amount"].replace(",", "."))
    seconds = pause["unit"] == "s" or (pause["unit"] is None and amount < 20)
    return round(amount * 1000) if seconds else round(amount)


def _emphasis_spans(text: str) -> tuple[list[tuple[int, int]], set[int]]:
    """Character ranges that are emphasised, and the positions of the asterisks that say so."""
    spans: list[tuple[int, int]] = []
    asterisks: set[int] = set()
    for match in _EMPHASIS.finditer(text):
        spans.append(match.span("body"))
        asterisks.update(range(*match.span("open")))
        asterisks.update(range(match.end("body"), match.end()))
    return spans, asterisks


def _tokens(
    text: str,
    begin: int,
    end: int,
    strong: list[tuple[int, int]],
    asterisks: set[int],
    rates: list[tuple[int, int, float]],
) -> tuple[Token, ...]:
    tokens: list[Token] = []
    for word in re.finditer(r"\S+", text[begin:end]):
        first, last = begin + word.start(), begin + word.end()
        raw = "".join(text[index] for index in range(first, last) if index not in asterisks)
        written = _ESCAPE.sub(r"\1", raw)
        emphasis = any(first < stop and start < last for start, stop in strong)
        rate = math.prod(factor for start, stop, factor in rates if first < stop and start < last)
        if not written:
            continue
        if tokens and not is_spoken(written):
            # A lone dash or ellipsis belongs to the word before it: captions stay verbatim, nothing has no
            # time.
            tokens[-1] = replace(tokens[-1], text=f"{tokens[-1].text} {written}")
        else:
            tokens.append(Token(written, emphasis, rate))
    if len(tokens) > 1 and not is_spoken(tokens[0].text):
        tokens[:2] = [replace(tokens[1], text=f"{tokens[0].text} {tokens[1].text}")]
    return tuple(tokens)


def _joined(passages: list[Passage]) -> tuple[Passage, ...]:
    """Passages parted only by an unknown mark are one breath again; pauses that follow each other add up."""
    joined: list[Passage] = []
    for passage in passages:
        if joined and (joined[-1].pause_ms == 0 or not passage.tokens):
            last = joined.pop()
            passage = Passage(last.tokens + passage.tokens, last.pause_ms + passage.pause_ms)
        joined.append(passage)
    return tuple(joined)


def _unknown_marks(unknown: dict[str, int]) -> list[SpeechNote]:
    notes = [
        SpeechNote(
            "speech.markup_unsupported",
            f"{mark} is not a mark this project knows"
            + (f" ({count} times)" if count > 1 else "")
            + ": left out of the speech.",
        )
        for mark, count in list(unknown.items())[:_REPORTED_MARKS]
    ]
    if len(unknown) > _REPORTED_MARKS:
        notes.append(
            SpeechNote(
                "speech.markup_unsupported",
                f"{len(unknown) - _REPORTED_MARKS} more unknown marks are left out.",
            )
        )
    return notes
