"""A name ends with its sentence, and a text where another presenter begins to speak."""

from __future__ import annotations

from datetime import datetime

import pytest

from agent.understanding.decision import Decision
from agent.understanding.dialogue import CallRecord, Dialogue, Question
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from agent.understanding.world import World
from bench.nlu_evaluation.cases import read_world

NOW = datetime(2026, 11, 23, 10, 0)
FILM = CallRecord("make_render", {"persona": "Nova", "script": "Welcome to the lab."})
AFTER_FILM = Dialogue(calls=(FILM,), film=FILM, last={"render": "Welcome clip"}, recent_kind="render")


@pytest.fixture(scope="module")
def interpreter(reader: Reader) -> Interpreter:
    return Interpreter(reader)


@pytest.fixture(scope="module")
def world(reader: Reader) -> World:
    return read_world(frozenset(reader.common_words))


def calls_of(decision: Decision | None) -> list[CallRecord]:
    """Returns the calls of a decision, also where they wait for a yes."""
    assert decision is not None
    offered = decision.question.choices if decision.question is not None else ()
    return [*decision.calls, *offered]


@pytest.mark.parametrize(
    ("text", "title", "second"),
    [
        (
            "Rename the project Lab safety to: Moon and tides. Then show it.",
            "Moon and tides",
            "list_projects",
        ),
        ("Create a project called: Sea life. And show me the queue.", "Sea life", "queue.show"),
        (
            "nenn das Projekt Lab safety um in: Meer und Mond. Dann zeig mir die Videos.",
            "Meer und Mond",
            "list_renders",
        ),
    ],
)
def test_two_sentences_of_which_one_names_are_two_wishes(
    interpreter: Interpreter, world: World, text: str, title: str, second: str
) -> None:
    first, other = calls_of(interpreter.interpret(text, world, Dialogue(), NOW))
    assert (first.arguments["title"], other.intent) == (title, second)


@pytest.mark.parametrize(
    "text",
    [
        "Hi! I teach year 7 and need a little video about the tides for tomorrow",
        "Hallo, ich brauche für morgen ein Video über Ebbe und Flut",
    ],
)
def test_a_day_on_which_something_is_needed_is_no_plan(
    interpreter: Interpreter, world: World, text: str
) -> None:
    decision = interpreter.interpret(text, world, Dialogue(), NOW)
    assert decision.kind != "plan"
    assert {one.intent for one in calls_of(decision)} <= {"write_script.film", "write_script.draft"}


def test_what_is_planned_for_a_day_is_a_plan(interpreter: Interpreter, world: World) -> None:
    decision = interpreter.interpret("publish Harbour teaser for Friday at noon", world, Dialogue(), NOW)
    [call] = calls_of(decision)
    assert call.arguments["publish_at"] == "2026-11-27T12:00"


@pytest.mark.parametrize("text", ["call it Night school", "nenn es: Night school"])
def test_the_last_video_gets_a_title(interpreter: Interpreter, world: World, text: str) -> None:
    [call] = calls_of(interpreter.interpret(text, world, AFTER_FILM, NOW))
    assert (call.intent, call.arguments) == (FILM.intent, {**FILM.arguments, "title": "Night school"})


def test_the_title_of_the_last_video_is_one_of_two_wishes(interpreter: Interpreter, world: World) -> None:
    text = "nenn es: Ebbe und Flut. Und wie lang ist es?"
    first, second = calls_of(interpreter.interpret(text, world, AFTER_FILM, NOW))
    assert (first.arguments["title"], first.arguments["script"]) == ("Ebbe und Flut", "Welcome to the lab.")
    assert second.intent == "show_render"


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        (
            "make a clip with Milo saying: Mind the step. And one with Vera saying: Watch your head.",
            [("Milo", "Mind the step."), ("Vera", "Watch your head.")],
        ),
        (
            "mach ein Video mit Milo: Vorsicht Stufe. Und eins, in dem Vera sagt: Kopf einziehen.",
            [("Milo", "Vorsicht Stufe."), ("Vera", "Kopf einziehen.")],
        ),
    ],
)
def test_what_another_presenter_says_is_a_video_of_its_own(
    interpreter: Interpreter, world: World, text: str, scripts: list[tuple[str, str]]
) -> None:
    found = calls_of(interpreter.interpret(text, world, Dialogue(), NOW))
    assert [(one.arguments["persona"], one.arguments["script"]) for one in found] == scripts


@pytest.mark.parametrize("text", ["with Milo", "Milo please", "mit Milo bitte", "Milo, and with captions"])
def test_an_answer_that_only_names_who_speaks_is_no_text(
    interpreter: Interpreter, world: World, text: str
) -> None:
    question = Question("missing", "make_render", {}, ("script", "project"))
    decision = interpreter.answer(text, world, Dialogue(question=question), NOW)
    assert decision is not None and decision.question is not None and not decision.calls
    assert (decision.question.arguments["persona"], decision.question.missing[0]) == ("Milo", "script")


@pytest.mark.parametrize("text", ["Milo is our newest colleague.", "Thank you, Milo!"])
def test_an_answer_that_says_more_is_the_text(interpreter: Interpreter, world: World, text: str) -> None:
    question = Question("missing", "make_render", {}, ("script", "project"))
    [call] = calls_of(interpreter.answer(text, world, Dialogue(question=question), NOW))
    assert call.arguments["script"] == text
