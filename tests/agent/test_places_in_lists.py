"""A place in a list is that of the list that was shown; numbers elsewhere in a sentence choose nothing."""

from __future__ import annotations

from datetime import datetime

import pytest

from agent.answering.dialogue_updates import with_list
from agent.understanding.decision import Decision
from agent.understanding.dialogue import CallRecord, Dialogue
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from agent.understanding.references import with_referent
from agent.understanding.world import World
from bench.nlu_evaluation.cases import read_world

NOW = datetime(2026, 11, 23, 10, 0)
FARM = {"nodes": [{"node": "atlas"}, {"node": "bolt"}], "jobs": [{"job": "stt"}, {"job": "tts"}]}
PEOPLE = {"personas": [{"name": "Nova"}, {"name": "Vera"}, {"name": "Finn", "talk_only": True}]}
SCENES = {"scenes": [{"number": 1}, {"number": 2}]}


@pytest.fixture(scope="module")
def interpreter(reader: Reader) -> Interpreter:
    return Interpreter(reader)


@pytest.fixture(scope="module")
def world(reader: Reader) -> World:
    return read_world(frozenset(reader.common_words))


def calls_of(decision: Decision) -> list[tuple[str, object]]:
    """Returns the calls of a decision with what each is about, also where they wait for a yes."""
    offered = decision.question.choices if decision.question is not None else ()
    return [(one.intent, *one.arguments.values()) for one in (*decision.calls, *offered)]


@pytest.mark.parametrize("text", ["drain the second one", "please drain the second"])
def test_the_farm_lists_machines_first(interpreter: Interpreter, world: World, text: str) -> None:
    dialogue = with_list(Dialogue(), "cluster_status", FARM)
    decision = interpreter.interpret(text, world, dialogue, NOW)
    assert calls_of(decision) == [("change_machine.drain", "bolt")]


@pytest.mark.parametrize("text", ["I'll take the second one", "dann nehm ich die zweite", "number two"])
def test_a_presenter_of_a_list_is_asked_what_to_say(
    interpreter: Interpreter, world: World, text: str
) -> None:
    dialogue = with_list(Dialogue(), "list_personas", PEOPLE)
    question = interpreter.interpret(text, world, dialogue, NOW).question
    assert question is not None
    assert (question.intent, question.arguments, question.missing[0]) == (
        "make_render",
        {"persona": "Vera"},
        "script",
    )


def test_a_publication_is_of_the_video_at_that_place(interpreter: Interpreter, world: World) -> None:
    names = ("Welcome clip", "Lab safety intro", "Harbour teaser")
    dialogue = Dialogue(shown={"render": names}, recent_kind="render", last={"render": "Welcome clip"})
    decision = interpreter.interpret("publish the second one", world, dialogue, NOW)
    assert calls_of(decision) == [("publish_render.publish", "Lab safety intro")]


@pytest.mark.parametrize("text", ["publish the second one", "delete the first one", "cancel the third one"])
def test_without_a_list_it_is_asked_which_video(interpreter: Interpreter, world: World, text: str) -> None:
    """The last one would be another one."""
    dialogue = Dialogue(recent_kind="render", last={"render": "Welcome clip"})
    decision = interpreter.interpret(text, world, dialogue, NOW)
    assert not [one for one in calls_of(decision) if one[0].startswith(("publish", "cancel_render"))]


def test_a_place_in_the_queue_is_none_in_a_list(interpreter: Interpreter, world: World) -> None:
    names = ("Welcome clip", "Lab safety intro")
    dialogue = Dialogue(shown={"render": names}, recent_kind="render", last={"render": "Lab safety intro"})
    decision = interpreter.interpret("move it to the front of the queue", world, dialogue, NOW)
    assert ("queue.front", "Lab safety intro") in calls_of(decision)


@pytest.mark.parametrize("text", ["not with Nova, with Vera", "nicht mit Nova, mit Vera"])
def test_a_name_that_is_denied_is_not_taken(interpreter: Interpreter, world: World, text: str) -> None:
    film = CallRecord("make_render", {"project": "Welcome week"})
    dialogue = Dialogue(last={"project": "Welcome week"}, recent_kind="project", calls=(film,), film=film)
    named = [dict(one.arguments).get("persona") for one in _offered(interpreter, world, dialogue, text)]
    assert named == ["Vera"]


def _offered(interpreter: Interpreter, world: World, dialogue: Dialogue, text: str) -> list[CallRecord]:
    decision = interpreter.interpret(text, world, dialogue, NOW)
    return [*decision.calls, *(decision.question.choices if decision.question is not None else ())]


@pytest.mark.parametrize(
    "text",
    [
        "make the last video again, but this time with Vera",
        "mach das letzte Video nochmal, aber diesmal mit Vera",
    ],
)
def test_the_last_video_is_made_again_in_a_new_conversation(
    interpreter: Interpreter, world: World, text: str
) -> None:
    [call] = _offered(interpreter, world, Dialogue(), text)
    assert (call.intent, call.arguments) == ("make_render", {"video": "Welcome clip", "persona": "Vera"})


def test_lists_of_machines_and_projects_are_as_they_were_shown() -> None:
    machines = with_list(Dialogue(), "list_machines", {"machines": [{"name": "comet"}, {"name": "atlas"}]})
    projects = with_list(
        Dialogue(), "list_projects", {"projects": [{"title": "Tides"}], "scenes": [{"number": 1}]}
    )
    assert dict(machines.shown) == {"machine": ("comet", "atlas")}
    assert dict(projects.shown) == {"scene": ("1",), "project": ("Tides",)}


def test_a_pronoun_is_nobody_who_speaks() -> None:
    spoken = CallRecord("make_render", {"persona": "it", "script": "These are the new cranes."})
    text = "make it say: These are the new cranes."
    assert with_referent(spoken, text, Dialogue()) is None


def test_a_new_video_ends_the_list_of_videos() -> None:
    dialogue = Dialogue(shown={"render": ("Welcome clip",), "project": ("Tides",)})
    after = dialogue.after_calls((CallRecord("make_render", {"script": "Hello."}),))
    assert dict(after.shown) == {"project": ("Tides",)}


def test_the_same_change_is_not_made_again(interpreter: Interpreter, world: World) -> None:
    moved = CallRecord("edit_project.move_scene", {"project": "Welcome week", "scene": "2", "to": "1"})
    dialogue = Dialogue(last={"project": "Welcome week", "scene": "2"}, recent_kind="scene", calls=(moved,))
    for text in ("die zweite bitte etwas langsamer", "the second one a bit slower, please"):
        decision = interpreter.interpret(text, world, dialogue, NOW)
        assert [(one[0], decision.kind) for one in calls_of(decision)] == [
            ("edit_project.change_scene", "calls")
        ]


def test_a_correction_of_a_new_scene_adds_no_other(interpreter: Interpreter, world: World) -> None:
    added = CallRecord(
        "edit_project.add_scene", {"project": "Welcome week", "script": "Hello.", "scene": "scn_1"}
    )
    dialogue = Dialogue(last={"project": "Welcome week"}, recent_kind="project", calls=(added,))
    decision = interpreter.interpret("ach nein: Das ist der Fluss.", world, dialogue, NOW)
    assert [one[0] for one in calls_of(decision)] == ["edit_project.change_scene"]


@pytest.mark.parametrize("text", ["oops, closed with two s", "ups, geschlossen mit zwei s", "it starts at 2"])
def test_a_number_in_a_sentence_chooses_nothing(interpreter: Interpreter, world: World, text: str) -> None:
    dialogue = Dialogue(shown={"render": ("Welcome clip", "Lab safety intro")}, recent_kind="render")
    assert ("show_render", "Lab safety intro") not in calls_of(
        interpreter.interpret(text, world, dialogue, NOW)
    )


def test_a_question_about_a_scene_shows_it(interpreter: Interpreter, world: World) -> None:
    added = CallRecord(
        "edit_project.add_scene", {"project": "Welcome week", "script": "Hello.", "persona": "Milo"}
    )
    dialogue = with_list(Dialogue().after_calls((added,)), "edit_project", SCENES)
    decision = interpreter.interpret("what does the second one say now?", world, dialogue, NOW)
    assert {one.intent for one in decision.calls} == {"list_projects"}
    assert decision.calls[0].arguments["scene"] in ("2", 2)


@pytest.mark.parametrize(
    "text",
    ["swap the two scenes", "can you swap them please", "tausch die beiden", "vertausche die beiden Szenen"],
)
def test_two_scenes_are_swapped(interpreter: Interpreter, world: World, text: str) -> None:
    dialogue = Dialogue(last={"project": "Welcome week"}, recent_kind="project")
    decision = interpreter.interpret(text, world, dialogue, NOW)
    assert [(one.intent, one.arguments) for one in decision.calls] == [
        ("edit_project.move_scene", {"project": "Welcome week", "scene": "2", "to": "1"})
    ]


def test_of_more_scenes_it_is_not_known_which_are_swapped(interpreter: Interpreter, world: World) -> None:
    dialogue = Dialogue(last={"project": "Lab safety"}, recent_kind="project")
    assert not interpreter.interpret("swap the two scenes", world, dialogue, NOW).calls
    [call] = interpreter.interpret("swap scenes 3 and 4", world, dialogue, NOW).calls
    assert (call.arguments["scene"], call.arguments["to"]) == ("4", "3")


def test_captions_that_shall_be_shown_are_not_switched_on(interpreter: Interpreter, world: World) -> None:
    dialogue = Dialogue(last={"project": "Lab safety"}, recent_kind="project")
    for text in ("show me the captions", "zeig mir die Untertitel", "can I see the captions?"):
        assert not interpreter.interpret(text, world, dialogue, NOW).calls, text
