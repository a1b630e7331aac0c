"""Sentences about several things at once: each is in a call, or the agent asks; none is dropped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.understanding.decision import Decision
from agent.understanding.dialogue import CallRecord, Dialogue, Question
from agent.understanding.interpreter import Interpreter
from agent.understanding.trained import load_reader
from agent.understanding.world import Thing
from bench.nlu_evaluation.cases import NOW, read_world


class Talk:
    """A conversation with the interpreter about the state of the evaluation."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self._world = read_world(frozenset(interpreter.reader.common_words))
        self._dialogue = Dialogue()

    def add(self, *things: Thing) -> None:
        self._world = replace(self._world, things=(*things, *self._world.things))

    def did(self, call: CallRecord) -> None:
        done = Decision("calls", calls=(call,))
        self._dialogue = self._interpreter.next_dialogue(self._dialogue, done, self._world)

    def say(self, text: str) -> Decision:
        decision = None
        if self._dialogue.question is not None:
            decision = self._interpreter.answer(text, self._world, self._dialogue, NOW)
        decision = decision or self._interpreter.interpret(text, self._world, self._dialogue, NOW)
        self._dialogue = self._interpreter.next_dialogue(self._dialogue, decision, self._world)
        return decision


@pytest.fixture(scope="module")
def interpreter() -> Interpreter:
    reader = load_reader(train=True)
    assert reader is not None
    return Interpreter(reader)


@pytest.fixture
def talk(interpreter: Interpreter) -> Talk:
    return Talk(interpreter)


def calls_of(decision: Decision) -> list[dict[str, Any]]:
    """The calls of a decision, made at once or after a yes, with their intents."""
    calls = decision.calls if decision.question is None else decision.question.choices
    return [{"intent": one.intent, **one.arguments} for one in calls]


@pytest.mark.parametrize(
    ("text", "intent", "slot", "names"),
    [
        ("delete harbour teaser and welcome clip", "cancel_render.delete", "render",
         ["Harbour teaser", "Welcome clip"]),
        ("publish the harbour teaser and the welcome clip on saturday at 5 pm", "publish_render.publish",
         "render", ["Harbour teaser", "Welcome clip"]),
        ("show me harbour tour and lab safety", "list_projects", "project", ["Harbour tour", "Lab safety"]),
        ("disk space on atlas, bolt and comet", "ssh", "machine", ["atlas", "bolt", "comet"]),
        ("lösche die szenen cranes und arrival der harbour tour", "edit_project.delete_scene", "scene",
         ["Cranes", "Arrival"]),
    ],
)  # fmt: skip
def test_each_thing_that_is_named_is_in_a_call(
    talk: Talk, text: str, intent: str, slot: str, names: list[str]
) -> None:
    calls = calls_of(talk.say(text))
    assert [(one["intent"], one[slot]) for one in calls] == [(intent, name) for name in names]
    assert not any("scene_numbers" in one for one in calls)


def test_one_that_is_spared_is_in_no_call(talk: Talk) -> None:
    names = [one.get("render") for one in calls_of(talk.say("delete harbour teaser but not welcome clip"))]
    assert "Welcome clip" not in names


def test_both_are_the_two_spoken_of_last(talk: Talk) -> None:
    talk.say("show harbour teaser and welcome clip")
    found = talk.say("delete both of them")
    assert found.kind == "ask"
    assert [one["render"] for one in calls_of(found)] == ["Harbour teaser", "Welcome clip"]


def test_both_of_more_than_two_is_asked_for(talk: Talk) -> None:
    talk.say("show my videos")
    found = talk.say("publish both")
    assert (found.kind, found.about, calls_of(found)) == ("ask", "missing", [])


def test_another_day_moves_all_that_wait_for_the_old_one_and_keeps_the_hour(talk: Talk) -> None:
    talk.say("put the harbour teaser and the welcome clip on youtube on saturday at 5 pm")
    assert {one["publish_at"] for one in calls_of(talk.say("make it sunday"))} == {"2026-11-29T17:00"}
    talk.say("yes")
    again = talk.say("oh, rather saturday")
    assert again.question is not None and again.question.about == "confirm_all"
    assert {one["publish_at"] for one in calls_of(again)} == {"2026-11-28T17:00"}


@pytest.mark.parametrize(
    ("text", "title", "scenes", "is_filmed"),
    [
        ("create a project Greetings with two scenes, in the first Nova says hello, in the second Milo says "
         "goodbye", "Greetings", [("Nova", "hello"), ("Milo", "goodbye")], False),
        ("neues projekt Eulenabend mit zwei Szenen: in der ersten sagt Vera: Wer ist wach? In der zweiten "
         "sagt Milo: Die Eule.", "Eulenabend", [("Vera", "Wer ist wach?"), ("Milo", "Die Eule")], False),
        ("make a video in 720p with two scenes: Nova says hello. Milo says goodbye.", "hello",
         [("Nova", "hello"), ("Milo", "goodbye")], True),
    ],
)  # fmt: skip
def test_scenes_keep_who_speaks_them(
    talk: Talk, text: str, title: str, scenes: list[tuple[str, str]], is_filmed: bool
) -> None:
    create, *rest = calls_of(talk.say(text))
    assert create == {"intent": "edit_project.create", "title": title}
    if is_filmed:
        assert rest.pop() == {"intent": "make_render", "project": title, "quality": "720p"}
    assert [(one["project"], one["persona"], one["script"]) for one in rest] == [
        (title, *scene) for scene in scenes
    ]


@pytest.mark.parametrize(
    ("text", "intent", "slot", "names"),
    [
        ("delete scenes 1 and 2 of harbour tour", "edit_project.delete_scene", "scene", [2, 1]),
        ("delete scene 1 and scene 2 of harbour tour", "edit_project.delete_scene", "scene", [2, 1]),
        ("lösche die szenen 1 bis 3 der harbour tour", "edit_project.delete_scene", "scene", [3, 2, 1]),
        ("let Vera speak scenes 2 and 3 of the harbour tour", "edit_project.change_scene", "scene", [2, 3]),
        ("delete the last two videos", "cancel_render.delete", "render", ["Welcome clip", "Budget review"]),
        ("retry all failed videos", "retry_render", "render", ["Budget review"]),
    ],
)
def test_a_group_is_a_call_for_each(
    talk: Talk, text: str, intent: str, slot: str, names: list[str | int]
) -> None:
    found = talk.say(text)
    assert [(one["intent"], one[slot]) for one in calls_of(found)] == [(intent, name) for name in names]
    assert found.kind == "calls" or found.question is not None


def test_places_are_of_the_list_that_was_shown(talk: Talk) -> None:
    talk.say("show my videos")
    assert [one["render"] for one in calls_of(talk.say("delete number 1 and 3"))] == [
        "Welcome clip",
        "Lab safety intro",
    ]


def test_a_group_within_a_script_is_spoken(talk: Talk) -> None:
    text = "Make a video with Nova: The first two scenes and all videos are ready."
    assert [one["intent"] for one in calls_of(talk.say(text))] == ["make_render"]


def test_scenes_named_by_their_number_are_of_the_project_spoken_of(interpreter: Interpreter) -> None:
    talk = Talk(interpreter)
    talk.add(
        Thing("project", "Tides"), *(Thing("scene", f"Scene {n}", parent="Tides", number=n) for n in (1, 2))
    )
    talk.say("show me the harbour tour")
    [call] = calls_of(talk.say("let Milo speak scene 2"))
    assert (call["project"], call["scene"]) == ("Harbour tour", "2")


@pytest.mark.parametrize("text", ["seven, not six", "the museum opens at half past seven, not half past six"])
def test_words_in_place_of_others_correct_the_script(talk: Talk, text: str) -> None:
    talk.did(CallRecord("make_render", {"script": "the museum opens at half past six."}))
    assert [one["script"] for one in calls_of(talk.say(text))] == ["the museum opens at half past seven."]


@pytest.mark.parametrize("text", ["make the video", "render this project please", "mach das Video"])
def test_the_video_is_that_of_the_project_spoken_of(talk: Talk, text: str) -> None:
    talk.say("show me the harbour tour")
    assert calls_of(talk.say(text)) == [{"intent": "make_render", "project": "Harbour tour"}]


def test_another_kind_of_thing_is_not_in_the_list_that_was_shown(talk: Talk) -> None:
    talk.say("show me the harbour tour")
    assert [one["intent"] for one in calls_of(talk.say("share a link to the last video"))] != [
        "list_projects"
    ]


@pytest.mark.parametrize(
    ("text", "moves"),
    [
        ("swap the first and the last scene", [("4", "1"), ("2", "4")]),
        ("tausche Szene 1 und 2", [("2", "1")]),
    ],
)
def test_two_scenes_change_places(talk: Talk, text: str, moves: list[tuple[str, str]]) -> None:
    talk.say("show me the harbour tour")
    assert [(one["scene"], one["to"]) for one in calls_of(talk.say(text))] == moves


def test_seconds_are_no_scenes(talk: Talk) -> None:
    [call] = calls_of(talk.say("make a 10 second video about cats"))
    assert call == {"intent": "write_script.film", "topic": "cats"}


@pytest.mark.parametrize(
    "text",
    [
        "use a male voice",
        "insert a pause of two seconds after the first sentence",
        "mach eine Pause in den Satz",
    ],
)
def test_an_order_about_the_film_is_no_script_before_somebody_says_so(
    interpreter: Interpreter, text: str
) -> None:
    world = read_world(frozenset(interpreter.reader.common_words))
    question = Question(
        "missing", "edit_project.change_scene", {"project": "Harbour tour", "scene": "2"}, ("script",)
    )
    found = interpreter.answer(text, world, Dialogue(question=question), NOW)
    assert found is None or found.kind == "ask"


def test_scenes_get_their_own_presenters(talk: Talk) -> None:
    talk.say("show me the harbour tour")
    calls = calls_of(talk.say("make the first scene with Milo and the second with Vera"))
    assert [(one["scene"], one["persona"]) for one in calls] == [("1", "Milo"), ("2", "Vera")]


@pytest.mark.parametrize("text", ["change the title to Our bakery", "ändere den Titel in Our bakery"])
def test_a_new_title_is_whole_also_with_the_name_of_a_project_in_it(
    interpreter: Interpreter, text: str
) -> None:
    talk = Talk(interpreter)
    talk.add(Thing("project", "Bakery"))
    talk.say("show me the bakery project")
    [call] = calls_of(talk.say(text))
    assert (call["intent"], call["title"], call["project"]) == ("edit_project.rename", "Our bakery", "Bakery")


def test_scenes_are_those_of_a_project_that_is_spoken_of_by_its_id(interpreter: Interpreter) -> None:
    talk = Talk(interpreter)
    scenes = (Thing("scene", name, parent="Tides", number=n) for n, name in enumerate(("Low", "High"), 1))
    talk.add(Thing("project", "Tides", "prj_01tides"), *scenes)
    talk.did(CallRecord("list_projects", {"project": "prj_01tides"}))
    assert [one["scene"] for one in calls_of(talk.say("remove the first two scenes"))] == ["2", "1"]
