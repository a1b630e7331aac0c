"""The state of a conversation: what it remembers, how it is stored, how calls are taken back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agent.answering.state import ConversationState
from agent.understanding.dialogue import QUESTION_TURNS, CallRecord, Dialogue, Question
from agent.understanding.intents import REQUIRED, reverse_of
from agent.understanding.world import Thing, World

RENDER = CallRecord("make_render", {"persona": "Vera", "script": "Doors open at nine."})


def test_a_state_survives_its_json() -> None:
    question = Question("missing", "edit_project.rename", {"project": "Tides"}, ("title",), (RENDER,), age=1)
    state = Dialogue({"render": "latest"}, {"machine": ("atlas", "bolt")}, (RENDER,), question, "machine")
    text = ConversationState(state).to_json()
    assert ConversationState.from_json(text, datetime.now(UTC)).dialogue == state
    assert ConversationState.from_json(None, datetime.now(UTC)).dialogue == Dialogue()


def test_calls_become_what_it_refers_to() -> None:
    state = Dialogue().after_calls([CallRecord("change_machine.drain", {"machine": "atlas"}), RENDER])
    assert (state.last["machine"], state.last["persona"], state.last["render"], state.recent_kind) == (
        "atlas",
        "Vera",
        "latest",
        "render",
    )


def test_a_list_of_machines_is_no_single_machine() -> None:
    assert "machine" not in Dialogue().after_calls([CallRecord("ansible", {"machines": "atlas,bolt"})]).last


def test_an_open_question_is_dropped_when_nobody_answers_it() -> None:
    state = Dialogue().asking(Question("missing", "job_logs", {}, ("job",)))
    for _ in range(QUESTION_TURNS - 1):
        state = state.age_question()
        assert state.question is not None
    assert state.age_question().question is None


def test_a_call_closes_the_question() -> None:
    assert (
        Dialogue().asking(Question("missing", "job_logs", {}, ("job",))).after_calls([RENDER]).question
        is None
    )


@pytest.mark.parametrize(
    ("call", "reverse"),
    [
        (RENDER, CallRecord("cancel_render.cancel", {"render": "latest"})),
        (
            CallRecord("change_machine.drain", {"machine": "atlas"}),
            CallRecord("change_machine.undrain", {"machine": "atlas"}),
        ),
        (
            CallRecord("edit_project.delete_scene", {"project": "Tides", "scene": 2}),
            CallRecord("edit_project.restore", {"project": "Tides"}),
        ),
        (
            CallRecord("edit_project.copy", {"project": "prj_copy", "title": "Ebb"}),
            CallRecord("edit_project.delete", {"project": "prj_copy"}),
        ),
        (
            CallRecord("memory.remember", {"text": "doors at nine"}),
            CallRecord("memory.forget", {"about": "doors at nine"}),
        ),
        (
            CallRecord("cancel_render.cancel", {"render": "Tides"}),
            CallRecord("retry_render", {"render": "Tides"}),
        ),
    ],
)
def test_a_call_is_taken_back_by_another(call: CallRecord, reverse: CallRecord) -> None:
    assert reverse_of(call) == [reverse]


@pytest.mark.parametrize(
    "intent",
    [
        "list_renders",
        "publish_render.publish",
        "change_machine.retire",
    ],
)
def test_what_cannot_be_taken_back_has_no_reverse(intent: str) -> None:
    assert reverse_of(CallRecord(intent, {"render": "Tides", "machine": "atlas", "project": "Tides"})) == []


@pytest.mark.parametrize(
    ("intent", "thing", "reverse"),
    [
        ("cancel_render.delete", "render", "trash.restore_video"),
        ("edit_project.delete", "project", "trash.restore_project"),
    ],
)
def test_a_deletion_is_taken_back_from_the_trash_unless_it_was_for_good(
    intent: str, thing: str, reverse: str
) -> None:
    assert reverse_of(CallRecord(intent, {thing: "Tides"})) == [CallRecord(reverse, {thing: "Tides"})]
    assert reverse_of(CallRecord(intent, {thing: "Tides", "forever": True})) == []


def test_needed_arguments_are_arguments_of_their_tools() -> None:
    from agent.tools.catalogue import ALL_TOOLS

    tools = {tool.name: tool for tool in ALL_TOOLS}
    for intent, groups in REQUIRED.items():
        name, _, action = intent.partition(".")
        assert action in tools[name].acts or not action, intent
        for argument in (one for group in groups for one in group):
            assert argument in tools[name].request.model_fields, (intent, argument)


def test_a_world_without_things_names_nothing() -> None:
    assert (
        World().of_kind("render") == []
        and World((Thing("render", "Tides"),)).of_kind("render")[0].name == "Tides"
    )
