"""Tests that a change that may be meant otherwise is asked about: of “it”, in an answer, in loose words."""

from __future__ import annotations

from typing import Any

import pytest
from conversing import Conversing, calls

from agent.memory.service import Owner
from agent.understanding import Grammar
from agent.understanding.changes import without_opening
from agent.understanding.decision import Decision
from agent.understanding.dialogue import CallRecord, Dialogue, Question
from agent.understanding.intents import change_anything
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from agent.understanding.references import with_referent
from app.composition import Services
from bench.nlu_evaluation.cases import NOW, read_world
from bench.nlu_evaluation.ways import ReaderWay

VIDEO = CallRecord("make_render", {"persona": "Vera", "script": "The pool is closed"})


class _Way(ReaderWay):
    """Keeps what was decided last, and begins in a state."""

    decision = Decision("nothing")

    def _decide(self, text: str) -> Decision:
        self.decision = super()._decide(text)
        return self.decision

    def after(self, *calls: CallRecord) -> _Way:
        self._dialogue = self._interpreter.next_dialogue(
            Dialogue(), Decision("calls", calls=calls), self._world
        )
        return self

    def listing(self, kind: str, names: list[str]) -> _Way:
        self._dialogue = self._dialogue.showing(kind, names)
        return self


@pytest.fixture
def way(reader: Reader, grammar: Grammar) -> _Way:
    return _Way(reader, grammar)


def _choices(decision: Decision) -> list[tuple[str, dict[str, Any]]]:
    found = () if decision.question is None else decision.question.choices
    return [(one.intent, dict(one.arguments)) for one in found]


@pytest.mark.parametrize(
    ("before", "text", "expected"),
    [
        (
            CallRecord("ansible", {"playbook": "verify", "machines": "bolt"}),
            "call it off",
            ("cancel_run", {"run": "latest"}),
        ),
        (
            CallRecord("list_projects", {"project": "Welcome week"}),
            "delete it then",
            ("edit_project.delete", {"project": "Welcome week"}),
        ),
    ],
)
def test_it_is_what_was_spoken_of_last(
    way: _Way, before: CallRecord, text: str, expected: tuple[str, dict[str, Any]]
) -> None:
    way.after(before).answer(text)
    assert (way.decision.kind, _choices(way.decision)) == ("ask", [expected])


@pytest.mark.parametrize(
    ("before", "text", "expected"),
    [
        (
            CallRecord("create_persona.change", {"persona": "Milo", "title": "Head of Sports"}),
            "let him say hello everyone",
            ("make_render", {"persona": "Milo", "script": "hello everyone"}),
        ),
        (
            CallRecord("list_personas", {"persona": "Vera"}),
            'I want a film in which she says "The pool is closed"',
            ("make_render", {"persona": "Vera", "script": "The pool is closed"}),
        ),
        (
            CallRecord("write_script.draft", {"topic": "fire exits"}),
            "good, now turn it into a video with Vera",
            ("make_render", {"project": "latest", "persona": "Vera"}),
        ),
        (
            CallRecord("change_machine.drain", {"machine": "bolt"}),
            "give that machine work again please",
            ("change_machine.undrain", {"machine": "bolt"}),
        ),
    ],
)
def test_who_and_what_was_spoken_of_last_is_meant(
    way: _Way, before: CallRecord, text: str, expected: tuple[str, dict[str, Any]]
) -> None:
    answer = way.after(before).answer(text)
    called = [(one.intent, dict(one.arguments)) for one in answer.calls]
    assert (called or _choices(way.decision)) == [expected]


def test_no_video_is_stopped_after_words_about_a_job(way: _Way) -> None:
    answer = way.after(CallRecord("change_job.scale", {"job": "stt", "count": 2})).answer("stop it")
    assert not change_anything(answer.calls)


@pytest.mark.parametrize(
    ("before", "text", "slot", "name"),
    [
        (CallRecord("show_render", {"render": "Harbour teaser"}), "publish this", "render", "Harbour teaser"),
        (CallRecord("show_render", {"render": "Budget review"}), "try again", "render", "Budget review"),
        (
            CallRecord("list_projects", {"project": "Welcome week"}),
            "rename it to Tides",
            "project",
            "Welcome week",
        ),
    ],
)
def test_exact_sentences_are_about_it_too(
    way: _Way, before: CallRecord, text: str, slot: str, name: str
) -> None:
    answer = way.after(before).answer(text)
    assert [call.arguments.get(slot) for call in answer.calls] == [name]


@pytest.mark.parametrize("text", ["publish the last video", "publish the newest video"])
def test_the_newest_is_the_newest_whatever_was_spoken_of(text: str) -> None:
    call = CallRecord("publish_render.publish", {"render": "latest"})
    dialogue = Dialogue(last={"render": "Harbour teaser"}, recent_kind="render")
    assert with_referent(call, text, dialogue) == call


@pytest.mark.parametrize(
    "text",
    [
        "read in manual_rev3.pdf as Drill manual",
        "call the project Night Flight, scene four keeps its name",
        "say goodbye to my favourite colour, forget it",
    ],
)
def test_a_text_that_ends_elsewhere_for_the_reader_is_asked_about(way: _Way, text: str) -> None:
    assert not change_anything(way.answer(text).calls)


def test_a_text_ends_where_the_reader_ends_it(way: _Way) -> None:
    answer = way.answer("make a film about axolotls u write it")
    assert [call.arguments.get("topic") for call in answer.calls] in ([], ["axolotls"])


def test_a_text_after_that_is_the_rest_of_the_sentence(way: _Way) -> None:
    answer = way.answer("forget that the logo is blue")
    assert [call.intent for call in answer.calls] == ["memory.forget"]


@pytest.mark.parametrize(
    "text",
    [
        "how much is 24*60*10 frames",
        "verify blew up on ember, what did it say?",
        "was hat verify auf ember bemängelt?",
        "Spring open day captions: off",
        "log into ember and fix the full disk",
        "I'm not good with computers. Switch comet off",
    ],
)
def test_nothing_is_changed_without_a_question(way: _Way, text: str) -> None:
    answer = way.answer(text)
    found = {(call.intent, str(call.arguments.get("captions"))) for call in answer.calls}
    assert found <= {
        ("change_machine.switch_off", "None"),
        ("show_runs", "None"),
        ("edit_project.change", "none"),
    }


def test_a_dry_run_may_be_asked_for_in_words_about_what_happens(way: _Way) -> None:
    answer = way.answer("dry run verify on ember and tell me what it did")
    assert answer.decision in ("calls", "plan", "ask")
    assert all(call.arguments.get("check") is True for call in answer.calls if call.intent == "ansible")


def _answered(reader: Reader, question: Question, text: str) -> Decision | None:
    dialogue = Dialogue(calls=(VIDEO,), film=VIDEO).asking(question)
    return Interpreter(reader).answer(text, read_world(frozenset(reader.common_words)), dialogue, NOW)


def test_a_yes_with_a_but_is_asked_about_again(reader: Reader) -> None:
    question = Question("confirm", choices=(VIDEO,))
    plain = _answered(reader, question, "yes please")
    but = _answered(reader, question, "yes do it with Milo")
    assert plain is not None
    assert plain.calls == (VIDEO,)
    assert but is not None
    assert (but.kind, _choices(but)[0][1]["persona"]) == ("ask", "Milo")


def test_an_answer_that_says_who_speaks_may_be_an_order(reader: Reader) -> None:
    question = Question("missing", "make_render", missing=("script",))
    decision = _answered(reader, question, "Milo says hello to the new class")
    assert decision is not None
    assert decision.kind == "ask"


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("um, drain atlas", "drain atlas"),
        ("when you have a minute, film Lab safety", "film Lab safety"),
        ("sei so gut und lösch das Video", "lösch das Video"),
        ("so, stop", "so, stop"),
        ("also wirklich, mach das aus", "also wirklich, mach das aus"),
    ],
)
def test_what_opens_an_order_is_none_of_it(text: str, rest: str) -> None:
    assert without_opening(text) == rest


@pytest.mark.parametrize(
    "script",
    ["I mean it, be here at nine.", "Uh, never mind the rain.", "This is private, wait until tomorrow."],
)
def test_words_of_a_script_are_no_doubts(reader: Reader, script: str) -> None:
    world = read_world(frozenset(reader.common_words))
    text = f"Make a video where Vera says: {script}"
    decision = Interpreter(reader).interpret(text, world, Dialogue(), NOW)
    assert [call.arguments.get("script") for call in decision.calls] == [script]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("change the second scene of Lab safety to navy, not black", "edit_project.change_scene"),
        ("make a video of Lab safety, square, not vertical", "make_render"),
        ("write a script about fire exits in four scenes, not five", "write_script.draft"),
    ],
)
def test_a_denial_in_a_sure_sentence_is_no_doubt(way: _Way, text: str, expected: str) -> None:
    assert [call.intent for call in way.answer(text).calls] == [expected]


@pytest.mark.parametrize(
    "text", ["bolt needn't stay empty", "neu installieren nicht nötig, bolt muss bloß hochgefahren werden"]
)
def test_a_machine_is_not_changed_by_words_with_a_denial(way: _Way, text: str) -> None:
    assert not change_anything(way.answer(text).calls)


@pytest.mark.parametrize(
    "text", ["The second one, what happened to it?", "the second one whats wrong with it"]
)
def test_a_question_about_a_place_in_the_list_is_about_what_stands_there(way: _Way, text: str) -> None:
    way.answer("show me all videos")
    shown = way.listing("render", ["Welcome clip", "Budget review", "Harbour teaser"]).answer(text)
    assert shown.calls == (CallRecord("show_render", {"render": "Budget review"}),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'd be obliged if the compliance check of atlas were switched off, please, all of it", None),
        ("let the third scene of Harbour tour wait until the end", ("edit_project.move_scene", "last")),
        ("keep Cranes of Harbour tour, but later, after Fish market", ("edit_project.move_scene", None)),
        ("It would be much appreciated if the second scene of Lab safety were moved to the end", None),
    ],
)
def test_a_place_and_a_courtesy_are_nothing_to_wait_for(
    way: _Way, text: str, expected: tuple[str, str | None] | None
) -> None:
    way.answer(text)
    assert way.decision.kind != "plan"
    if expected is not None:
        found = [*way.decision.calls, *(way.decision.question.choices if way.decision.question else ())]
        assert [one.intent for one in found] == [expected[0]]


@pytest.mark.parametrize(
    "text",
    [
        "move Cranes to the end of Harbour tour as soon as the Welcome clip is done",
        "es wäre schön, wenn du Lab safety verfilmst, sobald bolt wieder da ist",
        "great, if the Welcome clip is done publish it",
    ],
)
def test_what_waits_is_no_change_now(way: _Way, text: str) -> None:
    way.answer(text)
    assert way.decision.kind in ("plan", "ask")


@pytest.mark.parametrize("text", ["free -m on atlas & bolt", "uptime on atlas and bolt please"])
def test_a_command_for_two_machines_runs_on_both(way: _Way, text: str) -> None:
    ran = way.answer(text).calls
    assert [(one.intent, one.arguments["machine"]) for one in ran] == [
        ("ssh", "atlas"),
        ("ssh", "bolt"),
    ]
    assert len({one.arguments["command"] for one in ran}) == 1


async def test_an_unsure_undo_is_done_after_a_yes(services: Services) -> None:
    talk = Conversing(services)
    await talk.say("remember that the side gate closes at six")
    assert calls(await talk.say("drop the thing I just gave you")) == []
    assert calls(await talk.say("yes")) == ["memory"]
    assert (await services.memory.export(Owner.of(talk.principal))).memories == ()
