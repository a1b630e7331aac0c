"""Tests that courtesies at the end of a sentence are no part of a name, a topic or a script."""

from __future__ import annotations

import pytest

from agent.understanding import Grammar, changes
from agent.understanding.decision import Decision
from agent.understanding.dialogue import CallRecord, Dialogue, Question
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from bench.nlu_evaluation.cases import NOW, read_world
from bench.nlu_evaluation.ways import ReaderWay


@pytest.mark.parametrize(
    ("text", "argument", "value"),
    [
        ("rename the presenter Milo to Miles thanks", "name", "Miles"),
        ("create a project called Rowing club, thank you", "title", "Rowing club"),
        ("write a script about recycling at school now please", "topic", "recycling at school"),
        ("make Vera say turn off the light for me please", "script", "turn off the light"),
        ("erstelle ein Projekt namens Ruderverein, danke dir", "title", "Ruderverein"),
    ],
)
def test_a_courtesy_is_no_part_of_an_argument(
    reader: Reader, grammar: Grammar, text: str, argument: str, value: str
) -> None:
    way = ReaderWay(reader, grammar)
    decision = way._decide(text)
    calls = decision.calls or (decision.question.choices if decision.question else ())
    assert calls[0].arguments[argument] == value


def test_what_is_nothing_but_a_courtesy_stays() -> None:
    assert changes.without_courtesy("Thank you") == "Thank you"
    assert changes.without_courtesy("Wash your hands, thank you.") == "Wash your hands"


def _answer(reader: Reader, text: str) -> Decision:
    dialogue = Dialogue().asking(Question("missing", "make_render", {}, ("script", "project")))
    return Interpreter(reader).interpret(text, read_world(frozenset(reader.common_words)), dialogue, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "achso da fehlt noch text. dann nimm harbour tour",
        "well, the Harbour tour it is",
        "title it the flood",
    ],
)
def test_an_answer_that_may_be_an_order_is_not_spoken_at_once(reader: Reader, text: str) -> None:
    decision = _answer(reader, text)
    assert CallRecord("make_render", {"script": text}) not in decision.calls


def test_a_label_of_another_argument_begins_no_script(reader: Reader) -> None:
    decision = _answer(reader, "nein das alte nicht, was neues. thema: unsere neue mensa")
    question = decision.question
    assert not any("script" in one.arguments for one in decision.calls)
    assert question is not None
    assert [one.arguments for one in question.choices] == [{"topic": "unsere neue mensa"}]


def test_an_order_about_it_answers_no_question_for_a_scene(reader: Reader, grammar: Grammar) -> None:
    way = ReaderWay(reader, grammar)
    question = Question(
        "missing", "edit_project.change_scene", {"script": "These cranes are old."}, ("scene",)
    )
    way._dialogue = Dialogue(last={"project": "Harbour tour"}).asking(question)
    assert "change_scene" not in str(way.answer("and move it to the first place now please").calls)


def test_an_answer_that_says_so_is_spoken(reader: Reader) -> None:
    decision = _answer(reader, "she should say: Join us on the Harbour tour")
    assert [one.arguments["script"] for one in decision.calls] == ["Join us on the Harbour tour"]
