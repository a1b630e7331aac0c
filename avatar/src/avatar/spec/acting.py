"""Moods and gestures by name, and marks in a script: `[mood warm]`, `[gesture wave]`, `[speaker mei]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from avatar.spec.sentences import ends_sentence, is_spoken

Mood = Literal["neutral", "warm", "serious", "excited", "sad", "surprised"]
Gesture = Literal[
    "beat", "open-palm", "count-1", "count-2", "count-3", "count-4", "count-5",
    "point-left", "point-right", "wave", "shrug", "think", "none",
]  # fmt: skip
"""`none` keeps the arms down for the sentence; left and right are the picture's."""
MOODS: tuple[str, ...] = get_args(Mood)
GESTURES: tuple[str, ...] = get_args(Gesture)
_VALUES = {"mood": MOODS, "gesture": GESTURES}
SPEAKER_NAME = r"[a-z0-9][a-z0-9-]{0,62}"
ACTING_MARK = re.compile(r"(?P<kind>mood|gesture|speaker)[\s:=]+(?P<value>[^\[\]\n]+)", re.IGNORECASE)
_IN_SCRIPT = re.compile(r"(?<!\\)\[(?P<mark>(?:mood|gesture|speaker)\b[^\[\]\n]{0,80})\]", re.IGNORECASE)


_ANY_MARK = re.compile(r"(?<!\\)\[[^\W\d_][^\[\]\n]{0,80}\]|(?<!\\)</?[A-Za-z][^<>]*>")
_PAUSE = re.compile(r"(?<!\\)\[pause\b[^\[\]\n]{0,80}\]", re.IGNORECASE)


def read_acting_mark(text: str) -> tuple[str, str] | None:
    """Returns ("mood", "gesture" or "speaker", its value) of a mark's text without brackets; None for another
    mark.

    Raises ValueError with the names that exist, when there is no such mood or gesture. Which speakers there
    are is the scene's to say.
    """
    match = ACTING_MARK.fullmatch(text.strip())
    if match is None:
        if re.fullmatch(r"(?:mood|gesture|speaker)[\s:=]*", text.strip(), re.IGNORECASE):
            raise ValueError(f"[{text}] names nothing; write for example [gesture wave] or [mood warm]")
        return None
    kind = match["kind"].lower()
    value = "-".join(match["value"].lower().replace("_", " ").split())
    if kind == "speaker":
        if not re.fullmatch(SPEAKER_NAME, value):
            raise ValueError(f"{value!r} is no name of a speaker: small letters, digits and hyphens")
    elif value not in _VALUES[kind]:
        raise ValueError(f"there is no {kind} {value!r}; there are: {', '.join(_VALUES[kind])}")
    return kind, value


def check_acting_marks(script: str) -> None:
    """Raises ValueError as `read_acting_mark` does, for the first mark of `script` that names nothing."""
    for match in _IN_SCRIPT.finditer(script):
        read_acting_mark(match["mark"])


def without_acting_marks(script: str) -> str:
    """Returns a script without its marks of moods, gestures and speakers."""
    return _IN_SCRIPT.sub(" ", script)


@dataclass(frozen=True, slots=True)
class Turn:
    """A part of a script that one speaker says."""

    speaker: str
    text: str


def split_turns(script: str, first: str) -> list[Turn]:
    """Returns the parts of a script between its `[speaker NAME]` marks, in order, without those marks;
    `first` speaks before the first mark. A part without words is no turn: its pauses lengthen the turn before
    it, or at the start the one behind it.
    """
    turns: list[Turn] = []
    speaker, begin, pauses = first, 0, ""
    marks = [match for match in _IN_SCRIPT.finditer(script) if match["mark"].lower().startswith("speaker")]
    for match in [*marks, None]:
        text = script[begin : len(script) if match is None else match.start()].strip()
        if is_spoken(_ANY_MARK.sub(" ", text)):
            turns.append(Turn(speaker, f"{pauses} {text}".strip()))
            pauses = ""
        elif turns:
            longer = " ".join([turns[-1].text, *_PAUSE.findall(text)])
            turns[-1] = replace(turns[-1], text=longer)
        else:
            pauses = " ".join([pauses, *_PAUSE.findall(text)])
        if match is not None and (mark := read_acting_mark(match["mark"])) is not None:
            speaker, begin = mark[1], match.end()
    return turns


def sentence_starts(words: Sequence[str]) -> list[int]:
    """Returns the numbers of the words that begin a sentence."""
    return [
        place for place in range(len(words)) if place == 0 or ends_sentence(words[place - 1], words[place])
    ]


def mood_changes(
    words: Sequence[str], mood: Mood, marks: Sequence[tuple[int, str]]
) -> list[tuple[int, Mood]]:
    """Returns the words before which the mood changes, in order, with the new one.

    `marks`: number of the word behind a mark, and its mood. A mark before a sentence holds until the next
    one; in the middle of a sentence it colours what is left of it.
    """
    starts = sentence_starts(words)
    found: dict[int, Mood] = {}
    current = mood
    for place, name in marks if words else ():
        word, value = min(place, len(words) - 1), cast(Mood, name)
        found[word] = value
        if word in starts:
            current = value
            continue
        after = next((start for start in starts if start > word), None)
        if after is not None:
            found.setdefault(after, current)
    return sorted(found.items())
