"""An open question, and what was named last, is changed by another time, day or name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from agent.answering.planning import with_words_of_now
from agent.answering.replies import Replies
from agent.understanding.decision import Decision
from agent.understanding.dialogue import CallRecord, Dialogue, Question
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from agent.understanding.world import World
from bench.nlu_evaluation.cases import read_world

NOW = datetime(2026, 11, 23, 10, 0)
PUBLISH = CallRecord("publish_render.publish", {"render": "Harbour teaser", "publish_at": "2026-11-24T20:00"})
SHOWS = {"tool": "queue", "arguments": {"action": "show"}}


@pytest.fixture(scope="module")
def interpreter(reader: Reader) -> Interpreter:
    return Interpreter(reader)


@pytest.fixture(scope="module")
def world(reader: Reader) -> World:
    return read_world(frozenset(reader.common_words))


def with_offer(call: CallRecord, about: str = "confirm") -> Dialogue:
    return Dialogue(question=Question(about, choices=(call,)))


def offer(decision: Decision | None) -> Mapping[str, Any]:
    """Returns the arguments of the one call that a decision offers."""
    assert decision is not None and decision.question is not None, decision
    [call] = decision.question.choices
    return call.arguments


def decide(interpreter: Interpreter, world: World, dialogue: Dialogue, text: str) -> Decision:
    """Returns the answer to the open question, or what the text is by itself, as a conversation does."""
    answered = interpreter.answer(text, world, dialogue, NOW)
    return answered or interpreter.interpret(text, world, dialogue, NOW)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("actually make that half past seven", "2026-11-24T19:30"),
        ("doch lieber erst um halb neun", "2026-11-24T20:30"),
        ("no, at nine", "2026-11-24T21:00"),
        ("lieber Samstag", "2026-11-28T20:00"),
        ("no, on Friday", "2026-11-27T20:00"),
        ("ach nein, Sonntag um 10", "2026-11-29T10:00"),
        ("better at 7 in the morning", "2026-11-24T07:00"),
    ],
)
def test_a_publication_that_waits_for_a_yes_gets_another_time(
    interpreter: Interpreter, world: World, text: str, at: str
) -> None:
    found = offer(decide(interpreter, world, with_offer(PUBLISH), text))
    assert found == {**PUBLISH.arguments, "publish_at": at}


def test_other_words_leave_the_time_as_it_is(interpreter: Interpreter, world: World) -> None:
    for text in ("show me the queue on Friday", "not at nine", "what happens on Friday?"):
        decision = decide(interpreter, world, with_offer(PUBLISH), text)
        assert decision.question is None or PUBLISH.intent not in [
            one.intent for one in decision.question.choices
        ]


def plan(**when: Any) -> CallRecord:
    return CallRecord(
        "triggers.create", {"steps": [{"when": when, "calls": [SHOWS], "text": "old: Show it"}]}
    )


@pytest.mark.parametrize(
    ("when", "text", "words"),
    [
        (
            {
                "every": "week",
                "time": "07:00",
                "days": ["monday", "tuesday", "wednesday", "thursday", "friday"],
            },
            "not on Fridays though",
            "Every Monday, Tuesday, Wednesday, Thursday at 07:00: Show it",
        ),
        ({"every": "day", "time": "07:00"}, "at eight, please", "Every day at 08:00: Show it"),
        (
            {"at": "2026-11-24T12:00:00+00:00"},
            "no, on Wednesday",
            "On Wednesday 25 November at 12:00: Show it",
        ),
    ],
)
def test_a_plan_that_waits_for_a_yes_gets_other_times_in_its_words(
    interpreter: Interpreter, world: World, when: dict[str, Any], text: str, words: str
) -> None:
    decision = decide(interpreter, world, with_offer(plan(**when), "confirm_all"), text)
    assert decision.question is not None and decision.question.about == "confirm_all"
    [call] = decision.question.choices
    [step] = with_words_of_now(call, world, Replies.of("en")).arguments["steps"]
    assert (step["text"], step["calls"]) == (words, [SHOWS])


@pytest.mark.parametrize(
    "text", ["no, Harbour at dawn", "ach nein, Harbour at dawn", "call it Harbour at dawn"]
)
def test_a_name_that_waits_for_a_yes_is_another_one(
    interpreter: Interpreter, world: World, text: str
) -> None:
    rename = CallRecord("edit_project.rename", {"project": "Lab safety", "title": "Old harbour"})
    assert offer(decide(interpreter, world, with_offer(rename), text)) == {
        "project": "Lab safety",
        "title": "Harbour at dawn",
    }


@pytest.mark.parametrize(
    ("intent", "arguments", "expected"),
    [
        ("edit_project.rename", {"project": "Tides", "title": "Moon"}, {"project": "Moon"}),
        ("edit_project.create", {"title": "Moon"}, {"project": "Moon"}),
        ("make_render", {"script": "Hello.", "title": "Moon"}, {"script": "Hello."}),
    ],
)
def test_what_was_named_last_gets_another_name(
    interpreter: Interpreter, world: World, intent: str, arguments: dict[str, Any], expected: dict[str, Any]
) -> None:
    call = CallRecord(intent, arguments)
    film = call if intent == "make_render" else None
    dialogue = Dialogue(calls=(call,), film=film).after_calls((call,))
    found = offer(decide(interpreter, world, dialogue, "no, Moon and tides"))
    assert found == {**expected, "title": "Moon and tides"}


@pytest.mark.parametrize("text", ["no, Milo", "no thanks", "no, show the queue", "no, slower"])
def test_no_name_is_taken_for_one(interpreter: Interpreter, world: World, text: str) -> None:
    call = CallRecord("edit_project.rename", {"project": "Tides", "title": "Moon"})
    decision = decide(interpreter, world, Dialogue().after_calls((call,)), text)
    named = () if decision.question is None else decision.question.choices
    assert not [one for one in (*decision.calls, *named) if "title" in one.arguments]


@pytest.mark.parametrize(
    "text",
    [
        "put Harbour teaser on youtube tomorrow at 8 in the evening, unlisted please",
        "stell Harbour teaser morgen um 8 am Abend online, nicht gelistet",
    ],
)
def test_an_unlisted_publication_at_a_time_is_planned(
    interpreter: Interpreter, world: World, text: str
) -> None:
    """YouTube makes public what it publishes at a time."""
    decision = interpreter.interpret(text, world, Dialogue(), NOW)
    [step] = decision.steps
    [call] = step.calls
    assert decision.kind == "plan"
    assert step.condition.at == datetime(2026, 11, 24, 20, 0)
    assert (call.arguments["privacy"], "publish_at" in call.arguments) == ("unlisted", False)
