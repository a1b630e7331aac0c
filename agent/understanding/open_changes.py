"""Changes what an open yes-or-no question offers: another time, another day, another name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from agent.understanding import changes, moments, values
from agent.understanding.changes import SHORT_WORDS
from agent.understanding.decision import SURE_INTENT, Decision, ask_about
from agent.understanding.dialogue import INSTEAD, YES_OR_NO, CallRecord, Question
from agent.understanding.intents import READS
from agent.understanding.rewording import correct_word, replace_words
from agent.understanding.slots import kinds_named
from agent.understanding.tokens import tokenize
from agent.understanding.turn import Turn
from agent.understanding.when import DAYS, conditions, patterns

MOST_NAME_WORDS, MOST_CORRECTION_WORDS = 6, 7
SPOKEN = ("script", "text")
OTHER_THINGS = frozenset({"render", "project", "machine", "machines", "node", "job", "playbook", "name"})
NOON = 12
NAMES_PROJECT = ("edit_project.create", "edit_project.rename")
_PLAN = "triggers.create"


def with_other_offer(turn: Turn, text: str) -> Decision | None:
    """Returns the open question with another time, day or name in its calls, and what was named last with
    another name; None for any other text.
    """
    question = turn.dialogue.question
    if len(text.split()) > SHORT_WORDS:
        return None
    if question is None:
        last = turn.dialogue.calls[-1] if turn.dialogue.calls else None
        if last is not None and "publish_at" in last.arguments:
            calls = turn.dialogue.calls
            about = "confirm" if len(calls) == 1 else "confirm_all"
            earlier = Question(about, INSTEAD, choices=calls)
            return _at_another_time(earlier, text, turn.now)
        if last is not None and len(turn.dialogue.calls) == 1 and last.intent not in READS:
            of_last = Question("confirm", INSTEAD, choices=(last,))
            if (other := _with_another_thing(turn, of_last, text)) is not None:
                return other
        name = None if last is None or "title" not in last.arguments else _other_name(turn, text)
        if name is None or last is None:
            return None
        if last == turn.dialogue.film:
            again = CallRecord(last.intent, {**last.arguments, "title": name})
            return ask_about("confirm", [again], subject=INSTEAD)
        if last.intent not in NAMES_PROJECT:
            return None
        renamed = CallRecord("edit_project.rename", {"project": last.arguments["title"], "title": name})
        return ask_about("confirm", [renamed])
    if question.about not in YES_OR_NO:
        return None
    return (
        _at_another_time(question, text, turn.now)
        or _with_other_words(question, text)
        or _with_another_name(turn, question, text)
        or _with_another_thing(turn, question, text)
    )


def _again(question: Question, old: CallRecord, new: Mapping[str, Any]) -> Decision | None:
    """Returns the question with the changed arguments of one call, in all that have the same old ones."""
    changed = {name: value for name, value in new.items() if old.arguments.get(name) != value}
    if not changed:
        return None
    same = {name: old.arguments.get(name) for name in changed}
    choices = tuple(
        replace(one, arguments={**one.arguments, **changed})
        if one.intent == old.intent and all(one.arguments.get(name) == value for name, value in same.items())
        else one
        for one in question.choices
    )
    return Decision("ask", about="confirm", question=replace(question, choices=choices, age=0))


def _at_another_time(question: Question, text: str, now: datetime) -> Decision | None:
    """Returns the question with the time that a text names: “actually half past seven”, “lieber Samstag”."""
    timed = next(
        (one for one in question.choices if one.intent == _PLAN or "publish_at" in one.arguments), None
    )
    if timed is None:
        return None
    if timed.intent == _PLAN and (fewer := _without_days(timed, text)) is not None:
        return _again(question, timed, fewer)
    found = [one for one in conditions(text, now) if one.condition.kind == "time"]
    at = (
        moments.moment(text, now)
        if changes.matches("sets_time", text) or _says_only_time(text, now)
        else None
    )
    if at is None or values.matches("negation", text):
        return None
    time = _SpokenTime.of(at, text, [text[one.start : one.end] for one in found])
    if timed.intent == _PLAN:
        steps = [_step_at(step, time) for step in timed.arguments["steps"]]
        return _again(question, timed, {**timed.arguments, "steps": steps})
    after = time.move(datetime.fromisoformat(str(timed.arguments["publish_at"])))
    return _again(question, timed, {**timed.arguments, "publish_at": after.strftime("%Y-%m-%dT%H:%M")})


def _says_only_time(text: str, now: datetime) -> bool:
    """Returns whether the other words of a text only say that its time takes the place of another."""
    rest = text
    found = conditions(text, now)
    for one in reversed(found):
        rest = f"{rest[: one.start]} {rest[one.end :]}"
    table = changes.change_words().patterns
    words = values.WORD.findall(rest.lower())
    return bool(found) and all(
        table["only_look"].fullmatch(word) or table["only_time"].fullmatch(word) for word in words
    )


def with_new_time(text: str, before: str, after: str) -> str:
    """Returns a time of which a text names another day or another time of day; what it leaves out stays."""
    time = _SpokenTime.of(datetime.fromisoformat(after), text, [text])
    return time.move(datetime.fromisoformat(before)).strftime("%Y-%m-%dT%H:%M")


@dataclass(frozen=True, slots=True)
class _SpokenTime:
    """A time, and what of it was said: a day, a time of day, or the half of one."""

    at: datetime
    has_day: bool
    has_clock: bool
    has_half: bool

    @classmethod
    def of(cls, at: datetime, text: str, times: Sequence[str]) -> _SpokenTime:
        """Returns the time that a text names. `times`: its parts in which a time of day counts."""
        lower, groups = text.lower(), values.words().groups
        has_day = re.search(rf"\b{patterns()['day']}\b", lower) is not None
        clock = rf"{patterns()['clock']}|{patterns()['part']}"
        has_clock = not has_day or any(re.search(clock, one.lower()) for one in times)
        spoken = {word.strip(".") for word in values.WORD.findall(lower)}
        has_half = bool(spoken & (groups["morning"] | groups["afternoon"] | groups["night"]))
        return cls(at, has_day, has_clock, has_half)

    def move(self, before: datetime) -> datetime:
        """Returns a time with the day or the time of day of this one; of an hour without a part of the day
        the one in the same half of the day.
        """
        at = self.at
        if not self.has_clock:
            return before.replace(year=at.year, month=at.month, day=at.day)
        if not (self.has_half or self.has_day) and 0 < at.hour < NOON <= before.hour:
            at += timedelta(hours=NOON)
        day = at if self.has_day else before
        return before.replace(year=day.year, month=day.month, day=day.day, hour=at.hour, minute=at.minute)


def _step_at(step: Mapping[str, Any], time: _SpokenTime) -> Mapping[str, Any]:
    """Returns a step of a plan at another time."""
    when, at = dict(step["when"]), time.at
    if when.get("at"):
        planned = datetime.fromisoformat(str(when["at"]))
        when["at"] = time.move(planned).isoformat()
    elif when.get("time") and not time.has_day:
        hour, minute = map(int, str(when["time"]).split(":"))
        planned = at.replace(hour=hour, minute=minute)
        when["time"] = f"{time.move(planned):%H:%M}"
    elif when.get("days") and time.has_day:
        when["days"] = [DAYS[at.weekday()]]
        if time.has_clock and when.get("time"):
            when["time"] = f"{at:%H:%M}"
    elif any(_publishes_at(call) for call in step["calls"]):
        calls = [
            {**call, "arguments": _published_at(call["arguments"], time)} if _publishes_at(call) else call
            for call in step["calls"]
        ]
        return {**step, "calls": calls}
    else:
        return step
    return {**step, "when": when}


def _publishes_at(call: Mapping[str, Any]) -> bool:
    return bool(call["arguments"].get("publish_at"))


def _published_at(arguments: Mapping[str, Any], time: _SpokenTime) -> Mapping[str, Any]:
    """Returns the arguments of a publication at another time."""
    before = datetime.fromisoformat(str(arguments["publish_at"]))
    after = replace(time, at=time.at.astimezone(before.tzinfo)).move(before)
    return {**arguments, "publish_at": after.isoformat()}


def _without_days(plan: CallRecord, text: str) -> Mapping[str, Any] | None:
    """Returns a plan for days of the week without those that a text denies: “not on Fridays though”."""
    named = values.words().weekdays
    denied = {DAYS[at] for word, at in named.items() if re.search(rf"\b{word}s?\b", text.lower())}
    if not denied or not values.matches("negation", text):
        return None
    steps = []
    for step in plan.arguments["steps"]:
        when = dict(step["when"])
        if when.get("every") == "day":
            when |= {"every": "week", "days": list(DAYS)}
        if remaining := [one for one in when.get("days", ()) if one not in denied]:
            when["days"] = remaining
            step = {**step, "when": when}
        steps.append(step)
    return {**plan.arguments, "steps": steps}


def _with_other_words(question: Question, text: str) -> Decision | None:
    """Returns the question with some words of the text that it offers replaced: “no, at half past seven”."""
    spoken = next(
        ((one, slot) for one in question.choices for slot in SPOKEN if one.arguments.get(slot)), None
    )
    if spoken is None:
        return None
    call, slot = spoken
    script, pair = str(call.arguments[slot]), changes.replacement_in(text)
    fresh = None
    if pair is not None:
        fresh = replace_words(script, *pair)
    elif changes.look_of(text):
        return None
    elif changes.matches("corrects", text) and len(text.split()) <= MOST_CORRECTION_WORDS:
        fresh = correct_word(script, text)
    return None if fresh is None else _again(question, call, {slot: fresh})


def _with_another_thing(turn: Turn, question: Question, text: str) -> Decision | None:
    """Returns the question about another thing of its kind: “no, scene 3”, “I meant bolt”."""
    match = changes.change_words().patterns["another_thing"].match(text)
    if match is None or len(question.choices) != 1 or len(text.split()) > MOST_CORRECTION_WORDS:
        return None
    [call] = question.choices
    named = next(one for one in match.groups() if one)
    if (place := values.ordinal(named)) and place > 0 and "render" in call.arguments:
        shown = turn.dialogue.shown.get("render", ())
        return _again(question, call, {"render": shown[place - 1]}) if place <= len(shown) else None
    if "scene" in call.arguments and (place := values.scene_number(named) or values.ordinal(named)):
        return _again(question, call, {"scene": values.place_argument(place)})
    for slot in OTHER_THINGS & call.arguments.keys():
        kinds = kinds_named(call.intent, slot)
        found = [one.thing for one in turn.world.mentions(tokenize(named)) if one.thing.kind in kinds]
        if len(found) == 1 and found[0].id != call.arguments[slot]:
            return _again(question, call, {slot: found[0].name or found[0].id})
    return None


def _with_another_name(turn: Turn, question: Question, text: str) -> Decision | None:
    """Returns the question with the name that a text says instead: “no, Harbour at dawn”."""
    named = next((one for one in question.choices if one.arguments.get("title")), None)
    name = None if named is None else _other_name(turn, text)
    if named is None or name is None:
        return None
    old = named.arguments["title"]
    others = tuple(
        replace(one, arguments={key: name if value == old else value for key, value in one.arguments.items()})
        for one in question.choices
    )
    return Decision("ask", about="confirm", question=replace(question, choices=others, age=0))


def _other_name(turn: Turn, text: str) -> str | None:
    match = changes.change_words().patterns["other_name"].match(text)
    if match is None:
        return None
    name = changes.without_instead(next(one for one in match.groups() if one)).strip(' .!"“”„«»')
    best = turn.read(name)[0]
    orders = values.asks(name) or changes.matches("orders", name) or changes.matches("requests", name)
    is_else = orders or (best.sureness > SURE_INTENT and not name[:1].isupper())
    is_look = changes.look_of(name) or conditions(name, turn.now)
    is_person = any(one.kind == "persona" and one.name.lower() in name.lower() for one in turn.world.things)
    is_no = values.matches("negation", name) or not 0 < len(name.split()) <= MOST_NAME_WORDS
    return None if is_else or is_look or is_person or is_no else name
