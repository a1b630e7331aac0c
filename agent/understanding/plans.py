"""Reads a sentence with conditions as steps: what is done now, at a time, or after an event.

The conditions are cut out; the reader reads what is left between them. A sentence of which a part is
not understood has no steps: the Brain refuses it by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from agent.understanding import values
from agent.understanding.dialogue import CallRecord, Dialogue
from agent.understanding.intents import SHOWS, reverse_of
from agent.understanding.tokens import tokenize
from agent.understanding.when import Condition, Found, conditions, mask_text, patterns
from agent.understanding.world import IN_WORK, SURE_NAME, Thing, World

PREVIOUS = "previous"
LATEST = "latest"
SURE_CLAUSE = 0.5
MOST_CLAUSES = 5
SURE_STEP = 0.25
"""From here on the likeliest call is a step: the whole plan is shown and needs a yes."""
_SENTENCE_END = re.compile(r"(?<=[\w\"”)])[.;!?]+(?=\s|$)|\n+")
_EDGE = " \t\n,.;:!?–—-"
_SILENT = frozenset({"chat", "nothing", "decline", "confirm"})
_MAKES = {"make_render": "render", "retry_render": "render", "write_script.film": "render", "ansible": "run"}
"""Calls with a result that later steps may wait for."""
_CHANGES_MACHINE = "change_machine."
NOW = Condition()

Read = Callable[[str, Dialogue], Any]
"""Returns the `Decision` on a clause."""


@dataclass(frozen=True, slots=True)
class Step:
    """Calls that are made together. `previous`: the condition is about the result of the steps before."""

    condition: Condition
    calls: tuple[CallRecord, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the sentence without conditions, and the condition that it stands under."""

    text: str
    found: Found | None
    alternative: bool = False


class _NotRead(Exception):
    """A part of the sentence is no step."""


class UnknownName(Exception):
    """A condition names what does not exist. `kind`: `render`, `machine`; empty where no word says."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(name)
        self.kind, self.name = kind, name


def read_steps(
    utterance: str, read: Read, world: World, dialogue: Dialogue, now: datetime
) -> tuple[Step, ...]:
    """Returns the steps of a sentence; none where it has no condition, or not all of it was understood.
    Raises `UnknownName` for a condition on something that does not exist.
    """
    found = conditions(utterance, now)
    if not found:
        return ()
    try:
        return _steps(_pieces(utterance, found), read, world, dialogue)
    except _NotRead:
        return ()


def steps_of_unlisted(calls: Sequence[CallRecord]) -> tuple[Step, ...]:
    """Returns the steps of calls of which one publishes as unlisted at a time, which YouTube cannot wait for:
    it makes public what it publishes later. None for all others.
    """
    if not any(_waits_unlisted(call) for call in calls):
        return ()
    steps: list[Step] = []
    for call in calls:
        condition = NOW
        if _waits_unlisted(call):
            at = datetime.fromisoformat(str(call.arguments["publish_at"]))
            condition = Condition("time", at=at)
            rest = {name: value for name, value in call.arguments.items() if name != "publish_at"}
            call = CallRecord(call.intent, rest)
        steps.append(Step(condition, (call,)))
    return tuple(steps)


def steps_of_unfinished(calls: Sequence[CallRecord], world: World) -> tuple[Step, ...]:
    """Returns the steps of calls of which one publishes a video that is still in work: it does so once that
    is done. None for all others, and where no channel is connected.
    """
    waiting = [_in_work(call, world) for call in calls]
    if not any(waiting) or not world.of_kind("channel"):
        return ()
    return tuple(
        Step(NOW if one is None else Condition("event", of="render", name=one.id, becomes="done"), (call,))
        for call, one in zip(calls, waiting, strict=True)
    )


def _in_work(call: CallRecord, world: World) -> Thing | None:
    """Returns the video that a call publishes, where it waits or is being made."""
    if call.intent != "publish_render.publish":
        return None
    named, films = call.arguments.get("render") or LATEST, world.of_kind("render")
    film = next((one for one in films if named in (one.id, one.name, LATEST)), None)
    return film if film is not None and film.state in IN_WORK else None


def _waits_unlisted(call: CallRecord) -> bool:
    return bool(call.arguments.get("publish_at")) and call.arguments.get("privacy") == "unlisted"


def _pieces(text: str, found: Sequence[Found]) -> list[_Piece]:
    """Returns the parts between the conditions, each with the one that governs it."""
    hidden = mask_text(text)
    pieces: list[_Piece] = []
    current: Found | None = None
    place = 0
    ends = [(match.start(), match.end()) for match in _SENTENCE_END.finditer(hidden)
            if not any(one.start <= match.start() < one.end for one in found)]  # fmt: skip
    marks: list[tuple[int, int, Found | None]] = sorted(
        [*((start, end, None) for start, end in ends), *((one.start, one.end, one) for one in found)],
        key=lambda mark: mark[0],
    )
    for number, (start, end, mark) in enumerate([*marks, (len(text), len(text), None)]):
        before = text[place:start]
        place = end
        following = marks[number + 1][0] if number + 1 < len(marks) else len(text)
        is_last = not _words(text[end:following])
        if mark is None:
            pieces += _alternatives(before, current)
            # A sentence that does not go on with “then” stands under no condition.
            if not re.match(rf"{patterns()['joins']}\b", hidden[end:].lstrip()):
                current = None
        elif not _words(before) or (_ends_open(before) and not is_last):
            governs = any(piece.found is current for piece in pieces)
            if current is not None and not _words(before) and not governs:
                raise _NotRead
            pieces += _alternatives(before, current)
            current = mark
        else:
            pieces += _governed(before, mark, current)
            current = mark
    return pieces


def _governed(before: str, mark: Found, current: Found | None) -> list[_Piece]:
    """Returns what a condition at the end governs: of an event the last clause, of a time all."""
    if mark.condition.kind != "event":
        return [_Piece(before, mark)]
    cut = None
    for match in re.finditer(rf",\s*|(?:^|\s){patterns()['joins']}\s", before):
        cut = match
    if cut is None or not _words(before[: cut.start()]) or not _words(before[cut.end() :]):
        return [_Piece(before, mark)]
    return [_Piece(before[: cut.start()], current), _Piece(before[cut.end() :], mark)]


def _alternatives(text: str, current: Found | None) -> list[_Piece]:
    """Returns a part, and what follows “otherwise” in it."""
    otherwise = re.search(rf"(?:^|[\s,]){patterns()['otherwise']}(?=[\s,]|$)", text.lower())
    if otherwise is None:
        return [_Piece(text, current)] if _words(text) else []
    rest = [_Piece(text[: otherwise.start()], current)] if _words(text[: otherwise.start()]) else []
    return [*rest, _Piece(text[otherwise.end() :], current, alternative=True)]


def _ends_open(text: str) -> bool:
    """Returns whether a part ends with a mark or a conjunction, so that a condition begins the next one."""
    return bool(re.search(rf"(?:[,:–—-]|(?:^|\s){patterns()['joins']})\s*$", text.lower()))


def _words(text: str) -> str:
    """Returns a part without conjunctions, courtesies and marks at its edges."""
    joins, filler = patterns()["joins"], patterns()["filler"]
    before = None
    found = text.strip(_EDGE)
    while found != before:
        before = found
        found = re.sub(rf"^(?:{joins}|{filler})(?=[\s,.]|$)", "", found, flags=re.IGNORECASE).strip(_EDGE)
        found = re.sub(rf"(?:^|(?<=[\s,])){filler}$", "", found, flags=re.IGNORECASE).strip(_EDGE)
        found = re.sub(rf"(?:^|(?<=[\s,]))(?:{joins})$", "", found, flags=re.IGNORECASE).strip(_EDGE)
    return found


def _steps(pieces: Sequence[_Piece], read: Read, world: World, dialogue: Dialogue) -> tuple[Step, ...]:
    steps: list[Step] = []
    resolved: dict[int, Condition] = {}
    for piece in pieces:
        text = _words(piece.text)
        if not text:
            continue
        condition = NOW
        if piece.found is not None:
            key = id(piece.found)
            if key not in resolved:
                resolved[key], dialogue = _resolve(piece.found, steps, world, dialogue)
            condition = resolved[key]
        own = mask_text(text)
        if values.matches("condition", own) or values.matches("time", own):
            raise _NotRead
        if piece.alternative and re.search(patterns()["leave"], text.lower()):
            continue
        earlier = [call for step in steps for call in step.calls]
        calls = _report(text, condition) or _read_piece(text, read, dialogue, earlier)
        if piece.alternative and calls:
            raise _NotRead
        if not calls:
            continue
        dialogue = dialogue.after_calls(calls)
        if steps and steps[-1].condition == condition:
            steps[-1] = Step(condition, steps[-1].calls + calls)
        else:
            steps.append(Step(condition, calls))
    governed = {id(piece.found) for piece in pieces if piece.found is not None}
    if all(step.condition == NOW for step in steps) or governed - resolved.keys():
        raise _NotRead
    return tuple(steps)


def _report(text: str, condition: Condition) -> tuple[CallRecord, ...]:
    """Returns the call that shows what has happened, for “let me know”."""
    if condition.kind != "event" or not re.fullmatch(patterns()["report"], text.lower()):
        return ()
    intent, slot = SHOWS[condition.of]
    name = LATEST if condition.name == PREVIOUS else condition.name
    return (CallRecord(intent, {slot: name}),)


def _read_piece(
    text: str, read: Read, dialogue: Dialogue, earlier: Sequence[CallRecord]
) -> tuple[CallRecord, ...]:
    """Returns the calls of a part: of its clauses, where each is surely one by itself, else of the whole."""
    whole: tuple[CallRecord, ...] | None = None
    if re.match(patterns()["talk"], text.lower()):
        return ()
    with suppress(_NotRead):
        whole = _calls_of(read(text, dialogue), earlier)
    divided = _read_clauses(_clauses(text), read, dialogue, earlier)
    if divided and (whole is None or len(divided) >= len(whole)) and not _is_one_call(divided):
        return divided
    if whole is None:
        raise _NotRead
    return whole


def _is_one_call(calls: Sequence[CallRecord]) -> bool:
    """Returns whether calls of one intent contradict each other nowhere: parts of one sentence about it."""
    return any(
        one.intent == other.intent
        and all(other.arguments.get(name, value) == value for name, value in one.arguments.items())
        for place, one in enumerate(calls)
        for other in calls[place + 1 :]
    )


def _clauses(text: str) -> list[str]:
    """Returns what stands between commas and conjunctions, outside quotations."""
    hidden, place, found = mask_text(text), 0, []
    for match in re.finditer(rf",\s+|\s(?:{patterns()['joins']})(?:\s+{patterns()['joins']})?\s", hidden):
        if match.start() >= place:
            found.append(text[place : match.start()])
            place = match.end()
    return [clause for part in [*found, text[place:]] if (clause := _words(part))]


def _read_clauses(
    clauses: Sequence[str], read: Read, dialogue: Dialogue, earlier: Sequence[CallRecord]
) -> tuple[CallRecord, ...]:
    """Returns the calls of several clauses; none where one is not surely a call or talk."""
    calls: tuple[CallRecord, ...] = ()
    if not 1 < len(clauses) <= MOST_CLAUSES:
        return ()
    for clause in clauses:
        if re.match(patterns()["talk"], clause.lower()):
            continue
        decision = read(clause, dialogue)
        try:
            found = _calls_of(decision, [*earlier, *calls])
        except _NotRead:
            return ()
        if found and min((one.sureness for one in decision.candidates), default=1.0) < SURE_CLAUSE:
            return ()
        dialogue = dialogue.after_calls(found) if found else dialogue
        calls += found
    return calls


def _calls_of(decision: Any, earlier: Sequence[CallRecord]) -> tuple[CallRecord, ...]:
    """Returns the calls of a clause; none for talk. Raises `_NotRead` for what is not understood."""
    calls: tuple[CallRecord, ...] = ()
    if decision.about == "undo":
        # “… and back on Monday”: what the plan has done to a machine before.
        changed = [call for call in earlier if call.intent.startswith(_CHANGES_MACHINE)]
        calls = tuple(reverse_of(changed[-1])) if changed else ()
    elif decision.kind == "calls":
        calls = decision.calls
    elif decision.kind == "ask" and decision.question is not None:
        question = decision.question
        if question.about in ("confirm", "confirm_all", "sure"):
            calls = question.choices
        elif question.about == "unsure" and question.choices and decision.candidates[0].sureness >= SURE_STEP:
            first = question.choices[0]
            calls = (first,) if first.intent == decision.candidates[0].intent else ()
    elif decision.kind in _SILENT:
        return ()
    if not calls:
        raise _NotRead
    return calls


def _resolve(
    found: Found, steps: Sequence[Step], world: World, dialogue: Dialogue
) -> tuple[Condition, Dialogue]:
    """Returns the condition with what it is about, and the dialogue in which “it” means that."""
    condition = found.condition
    if condition.kind != "event":
        return condition, dialogue
    if values.matches("negation", found.subject):
        raise _NotRead
    thing = _named(found.subject, world)
    before = steps[-1].calls[-1] if steps else None
    if (
        thing is None
        and condition.of != "run"
        and (unknown := _unknown_name(found.subject, world)) is not None
    ):
        raise unknown
    if thing is not None and condition.of != "run":
        if thing.kind not in ("render", "machine"):
            raise _NotRead
        of, name = thing.kind, thing.name
        focus = {**dialogue.last, of: name}
        dialogue = replace(dialogue, last=focus, recent_kind=of)
    elif condition.becomes == "empty":
        of, name = "machine", str((before.arguments if before else dialogue.last).get("machine") or "")
        if before is None and dialogue.recent_kind != "machine":
            raise _NotRead
    elif before is not None and before.intent in _MAKES:
        of, name = _MAKES[before.intent], PREVIOUS
    elif (created := _created_last(dialogue)) and condition.of in ("", created):
        of, name = created, dialogue.last.get(created, LATEST) if created == "render" else LATEST
    elif condition.of == "run" or dialogue.recent_kind == "run":
        of, name = "run", LATEST
        if thing is not None:
            dialogue = replace(
                dialogue, last={**dialogue.last, thing.kind: thing.name}, recent_kind=thing.kind
            )
    elif condition.of == "render" or dialogue.last.get("render"):
        of, name = "render", dialogue.last.get("render", LATEST)
        dialogue = replace(dialogue, last={**dialogue.last, of: name}, recent_kind=of)
    else:
        raise _NotRead
    becomes = condition.becomes
    if of == "machine":
        becomes = {"done": "ready"}.get(becomes, becomes)
    if not name or (of != "machine" and becomes == "empty"):
        raise _NotRead
    return replace(condition, of=of, name=name, becomes=becomes), dialogue  # type: ignore[arg-type]


def _created_last(dialogue: Dialogue) -> str:
    """Returns the kind of thing that the last call makes, which a later step may wait for; else nothing."""
    return _MAKES.get(dialogue.calls[-1].intent, "") if dialogue.calls else ""


def _unknown_name(subject: str, world: World) -> UnknownName | None:
    """Returns the name in the words of a condition that nothing has: what follows “the machine” or “the
    video”, and a single rare word such as “cpu-1”.
    """
    for kind in ("render", "machine"):
        match = re.search(rf"\b{patterns()[kind]}\b(?: {patterns()['called']})?\s+(?P<name>.+)$", subject)
        if match is not None and not re.match(patterns()["no_name"], match["name"]):
            return UnknownName(kind, match["name"].strip(f"{_EDGE}\"'“”„‘’«»"))
    [word, *others] = subject.split() or [""]
    is_rare = bool(re.search(r"\w", word)) and word not in world.common_words
    pronouns = values.words().groups["pronouns"]
    return UnknownName("", word) if is_rare and not others and word not in pronouns else None


def _named(subject: str, world: World) -> Thing | None:
    """Returns the thing that the words of a condition name most surely."""
    mentions = [
        one
        for one in world.mentions(tokenize(subject))
        if one.sureness >= SURE_NAME and one.thing.kind in ("render", "machine", "job", "project")
    ]
    mentions = [one for one in mentions if one.thing.kind != "project"] or mentions
    return max(mentions, key=lambda one: (one.sureness, one.end - one.start)).thing if mentions else None
