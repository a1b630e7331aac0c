"""Chooses gestures from what is spoken: marks, greetings, numbers, overlays, questions, stress.

Called by `control_track`. The same words and seed give the same gestures; none comes twice in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from avatar.timing.acting import ActingMark, OverlaySide
from avatar.timing.noise import generator
from avatar.tracks import GestureCue, Word

RAISE_S, LOWER_S = 0.62, 0.85
"""A gesture begins that long before its stroke, and is over that long after its release."""
MIN_GAP_S, COUNT_GAP_S, QUIET_GAP_S = 2.0, 0.75, 2.6
"""Between the strokes of any two gestures, of two counted numbers, and before one that nothing calls for."""
HOLD_S = {
    "wave": 1.25,
    "shrug": 0.9,
    "think": 1.3,
    "point": 1.1,
    "count": 0.85,
    "open-palm": 0.8,
    "beat": 0.45,
}
COUNTING_S = 3.0
STROKE_DELAY_S = 0.08
STRESS_SHARE = 0.62
"""Of the stressed words that are far enough from the last gesture, how many get one."""
_NUMBERS = {
    "one": 1, "first": 1, "firstly": 1, "1": 1, "1st": 1,
    "two": 2, "second": 2, "secondly": 2, "2": 2, "2nd": 2,
    "three": 3, "third": 3, "thirdly": 3, "3": 3, "3rd": 3,
    "four": 4, "fourth": 4, "4": 4, "4th": 4,
    "five": 5, "fifth": 5, "5": 5, "5th": 5,
}  # fmt: skip
_GREETINGS = frozenset(
    ("hello", "hi", "hey", "welcome", "goodbye", "bye", "farewell", "hallo", "bonjour", "hola")
)
_DAYTIMES = frozenset(("morning", "afternoon", "evening"))
_THINKING = frozenset(("think", "wonder", "imagine", "consider", "suppose"))
_UNSURE = frozenset(("maybe", "perhaps", "unsure", "unclear", "whatever", "unknown"))
_OFFERING = frozenset(("here", "all", "everything", "everyone", "everybody", "you", "open", "together"))
_ORDINALS = frozenset(("second", "first", "third", "fourth", "fifth", "1st", "2nd", "3rd", "4th", "5th"))
_STEPS = frozenset(("number", "step", "part", "point", "rule", "reason", "question", "chapter", "tip"))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A gesture that a word calls for; the higher `rank`, the more. Marks stand above all."""

    at_s: float
    name: str
    rank: int


def gestures(
    words: Sequence[Word],
    marks: Sequence[ActingMark],
    overlays: Sequence[OverlaySide],
    duration_s: float,
    seed: int,
    amount: float,
) -> tuple[GestureCue, ...]:
    """Returns the gestures of a scene in order. `amount` 0 leaves none but marks, 1 is as people do it."""
    rng = generator(seed, 7)
    candidates = [
        _Candidate(_start_of(words, mark.word, duration_s), mark.value, 9)
        for mark in marks
        if mark.kind == "gesture"
    ]
    if amount > 0:
        candidates += [_Candidate(side.at_s, f"point-{side.side}", 6) for side in overlays]
        candidates += _called_for(words)
        candidates += _stresses(words, rng.random(len(words)).tolist(), STRESS_SHARE * min(amount, 1.6))
    chosen = _apart([candidate for candidate in candidates if _fits(candidate, duration_s)], amount)
    cues: list[GestureCue] = []
    last, side = "", "right" if rng.random() < 0.5 else "left"
    for index, candidate in enumerate(chosen):
        name = _other(candidate, last)
        if name == "none":
            continue
        draw = float(rng.random())
        # Who gestures more also gestures larger.
        size = (0.75 + 0.25 * draw) * (0.85 + 0.15 * min(amount, 1.6))
        kind = _kind(name)
        if name.startswith("point-"):
            side = name.removeprefix("point-")
        elif kind != "count" or _kind(last) != "count":
            side = ("left" if side == "right" else "right") if draw < 0.6 else side
        arms = "both" if name == "shrug" or (name == "open-palm" and draw > 0.72) else side
        stroke = candidate.at_s + STROKE_DELAY_S
        until = chosen[index + 1].at_s - 0.25 if index + 1 < len(chosen) else duration_s - LOWER_S - 0.05
        # Fingers that count on stay up between the numbers.
        counting = kind == "count" and index + 1 < len(chosen) and _kind(chosen[index + 1].name) == "count"
        hold = COUNTING_S if counting else HOLD_S[kind]
        release = max(stroke + 0.15, min(stroke + hold, until, duration_s - LOWER_S - 0.05))
        cues.append(GestureCue(name, arms, stroke, release, size))  # type: ignore[arg-type]
        last = name
    return tuple(cues)


def _kind(name: str) -> str:
    return name.split("-")[0] if name.startswith(("point-", "count-")) else name


def _fits(candidate: _Candidate, duration_s: float) -> bool:
    """The hands come from below the picture and are back there at the end: scenes join without a jump."""
    return candidate.at_s >= RAISE_S and candidate.at_s + 0.3 + LOWER_S <= duration_s


def _start_of(words: Sequence[Word], index: int, duration_s: float) -> float:
    if not words:
        return RAISE_S
    at = words[min(index, len(words) - 1)].start_ms / 1000
    # A mark at the very beginning or end moves to where there is time for it.
    return min(max(at, RAISE_S), max(duration_s - LOWER_S - 0.35, RAISE_S))


def _called_for(words: Sequence[Word]) -> list[_Candidate]:
    candidates = []
    for index, word in enumerate(words):
        text = word.text.lower().strip(".,;:!?…\"'()“”‘’*-–—")
        before = words[index - 1].text.lower() if index else ""
        begins = index == 0 or before.endswith((".", "!", "?", "…", ":"))
        at = word.start_ms / 1000
        if text in _GREETINGS or (text in _DAYTIMES and before == "good"):
            if index < 4 or index >= len(words) - 6:
                candidates.append(_Candidate(max(at, RAISE_S), "wave", 5))
        elif text in _NUMBERS and _is_counted(text, before, begins=begins or before.endswith(",")):
            candidates.append(_Candidate(at, f"count-{_NUMBERS[text]}", 7 if begins else 5))
        elif text in _THINKING:
            candidates.append(_Candidate(at, "think", 3))
        elif text in _UNSURE or (text == "knows" and before == "who"):
            candidates.append(_Candidate(at, "shrug", 4))
        elif text in _OFFERING:
            candidates.append(_Candidate(at, "open-palm", 2))
        if word.text.rstrip("\"')»”’").endswith("?"):
            candidates.append(_Candidate(at, "open-palm", 3))
    return candidates


def _is_counted(text: str, before: str, *, begins: bool) -> bool:
    """Nobody shows fingers at "one more" or "wait a second"; at "three scenes" people do."""
    return begins or before in _STEPS or not (text in ("one", "1") or text in _ORDINALS)


def _stresses(words: Sequence[Word], draws: list[float], share: float) -> list[_Candidate]:
    """Emphasised words, and some long ones: hands that beat time, or open."""
    candidates = []
    for word, draw in zip(words, draws, strict=True):
        at, long = word.start_ms / 1000, sum(char.isalnum() for char in word.text) > 5
        if word.emphasis:
            candidates.append(_Candidate(at, "beat" if draw < 0.6 else "open-palm", 4))
        elif long and draw < share:
            candidates.append(_Candidate(at, "beat" if draw < 0.6 * share else "open-palm", 1))
    return candidates


def _apart(candidates: list[_Candidate], amount: float) -> list[_Candidate]:
    """The candidates with the highest rank whose strokes leave each other time, in order."""
    taken: list[_Candidate] = []
    for candidate in sorted(candidates, key=lambda one: (-one.rank, one.at_s)):
        if all(abs(candidate.at_s - other.at_s) >= _gap(candidate, other, amount) for other in taken):
            taken.append(candidate)
    return sorted(taken, key=lambda one: one.at_s)


def _gap(one: _Candidate, other: _Candidate, amount: float) -> float:
    if one.name.startswith("count-") and other.name.startswith("count-"):
        return COUNT_GAP_S
    if one.rank == 9 and other.rank == 9:
        return COUNT_GAP_S
    calm = 1.0 / max(min(amount, 1.6), 0.4)
    return (QUIET_GAP_S if min(one.rank, other.rank) == 1 else MIN_GAP_S) * calm


def _other(candidate: _Candidate, last: str) -> str:
    """The gesture's name, or another that says much the same where it would come twice in a row."""
    if candidate.name != last:
        return candidate.name
    return "open-palm" if candidate.name != "open-palm" else "beat"
