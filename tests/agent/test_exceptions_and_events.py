"""Tests that what a sentence spares is not touched, and that what waits for an event is not done at once."""

from __future__ import annotations

import pytest

from agent.understanding import Grammar
from agent.understanding.decision import Decision
from agent.understanding.dialogue import Dialogue
from agent.understanding.intents import READS
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from agent.understanding.when import waits_for_event
from bench.nlu_evaluation.cases import NOW, read_world
from bench.nlu_evaluation.ways import ReaderWay


def _decide(reader: Reader, text: str) -> Decision:
    return Interpreter(reader).interpret(text, read_world(frozenset(reader.common_words)), Dialogue(), NOW)


def _last_calls(
    reader: Reader, grammar: Grammar, *turns: str
) -> tuple[str, list[tuple[str, dict[str, object]]]]:
    way = ReaderWay(reader, grammar)
    answers = [way.answer(turn) for turn in turns]
    return answers[-1].decision, [(call.intent, dict(call.arguments)) for call in answers[-1].calls]


@pytest.mark.parametrize(
    "text",
    [
        "cancel all but the Welcome clip",
        "stop every video except the Welcome clip",
        "brich alle Videos außer dem Welcome clip ab",
        "drain all the machines except bolt",
        "publish everything apart from the Harbour teaser",
    ],
)
def test_what_is_spared_is_not_touched(reader: Reader, grammar: Grammar, text: str) -> None:
    kind, calls = _last_calls(reader, grammar, text)
    assert kind != "calls" or {name for name, _ in calls} <= READS
    question = _decide(reader, text).question
    assert question is None or "Welcome clip" not in str(question.choices)


def test_the_others_are_offered(reader: Reader) -> None:
    question = _decide(reader, "stop everything except the Budget review").question
    assert question is not None
    assert [one.arguments for one in question.choices] == [{"render": "Welcome clip"}]


def test_words_that_are_spoken_spare_nothing(reader: Reader, grammar: Grammar) -> None:
    kind, calls = _last_calls(reader, grammar, "Make a video where Nova says: All but the last bus are full")
    assert (kind, calls[0][1]["script"]) == ("calls", "All but the last bus are full")


@pytest.mark.parametrize(
    ("before", "text", "intent"),
    [
        ("run site on atlas", "run verify on bolt after that has finished", "ansible"),
        (
            "make a video where Nova says: Hello",
            "publish it after that has finished",
            "publish_render.publish",
        ),
    ],
)
def test_what_waits_for_the_last_call_is_a_plan(
    reader: Reader, grammar: Grammar, before: str, text: str, intent: str
) -> None:
    kind, calls = _last_calls(reader, grammar, before, text)
    assert (kind, [name for name, _ in calls]) == ("plan", [intent])


def test_an_event_within_an_argument_is_waited_for_by_nobody() -> None:
    text = "remember that we lock up after the choir has finished"
    assert waits_for_event(text, [], NOW)
    assert not waits_for_event(text, ["we lock up after the choir has finished"], NOW)


@pytest.mark.parametrize(
    ("turns", "call"),
    [
        (
            ("transcribe interview.mp3", "srt please"),
            ("transcribe", {"recording": "interview.mp3", "captions": "srt"}),
        ),
        (
            ("publish the Harbour teaser as unlisted", "has it gone through?"),
            ("publish_render.show", {"render": "Harbour teaser"}),
        ),
        (
            ("show the project Harbour tour", "remove the heading of scene 2"),
            ("edit_project.change_scene", {"scene": 2, "heading": "", "project": "Harbour tour"}),
        ),
        (
            ("show the project Harbour tour", "in Szene 2 muss die Überschrift weg"),
            ("edit_project.change_scene", {"scene": 2, "heading": "", "project": "Harbour tour"}),
        ),
    ],
)
def test_a_follow_up_goes_on_with_the_last_call(
    reader: Reader, grammar: Grammar, turns: tuple[str, ...], call: tuple[str, dict[str, object]]
) -> None:
    assert _last_calls(reader, grammar, *turns) == ("calls", [call])
