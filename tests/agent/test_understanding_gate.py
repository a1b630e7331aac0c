"""Sentences are understood no worse than recorded, and nothing is done that a case forbids."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agent.understanding import doubt
from agent.understanding.dialogue import CallRecord
from agent.understanding.reader import Reader
from agent.understanding.trained import load_reader
from bench.nlu_evaluation import gate, nearness
from bench.nlu_evaluation.__main__ import main
from bench.nlu_evaluation.cases import Case, Turn, read_world
from bench.nlu_evaluation.compare import calls_match
from bench.nlu_evaluation.scoring import Answer, judge

Figures = Mapping[str, Mapping[str, float]]
# The sentences, the code that understands them, and nothing that starts.
pytestmark = pytest.mark.cached("agent", "bench/nlu_evaluation")
RECORDED = gate.read_recorded()


@pytest.fixture(scope="module")
def readers() -> Mapping[str, Reader]:
    reader = load_reader(train=True, encoder=True)
    assert reader is not None
    return gate.ways(reader)


@pytest.fixture(scope="module", params=[doubt.N_GRAMS, doubt.WITH_ENCODER])
def way(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def figures_now(way: str, readers: Mapping[str, Reader]) -> Figures:
    if way not in readers:
        pytest.skip("needs the sentence model: uv sync --extra memory")
    return gate.measure(readers[way])


def test_nothing_is_understood_worse_than_recorded(way: str, figures_now: Figures) -> None:
    assert gate.problems(figures_now, RECORDED["halves"][way]) == []


@pytest.mark.xfail(
    strict=True,
    reason="bench/nlu_evaluation/recorded.yaml counts what is still done against `forbid`",
)
def test_nothing_forbidden_is_done(figures_now: Figures) -> None:
    assert {half: figures["forbidden"] for half, figures in figures_now.items()} == dict.fromkeys(
        figures_now, 0
    )


def test_the_recorded_figures_are_those_of_these_thresholds() -> None:
    assert RECORDED["sureness"] == gate.thresholds()


def test_the_gate_names_what_has_become_worse() -> None:
    was = {"dev": {"right": 80.0, "wrong write": 0.4, "forbidden": 0}}
    assert gate.problems({"dev": {"right": 79.6, "wrong write": 0.7, "forbidden": 1}}, was) == []
    worse = gate.problems({"dev": {"right": 79.4, "wrong write": 0.8, "forbidden": 2}}, was)
    assert [one.split(" 0")[0].split(" 2")[0].split(" 7")[0] for one in worse] == [
        "dev: forbidden",
        "dev: wrong write",
        "dev: right",
    ]


def test_phrasings_are_nearest_to_their_own_tool() -> None:
    assert nearness.excess(list(nearness.too_near(nearness.tool_examples()))) == []


@pytest.mark.parametrize(
    ("turn", "answer", "outcome", "forbidden"),
    [
        (
            Turn("", [{"list_machines": {}}]),
            Answer("calls", (CallRecord("list_machines", {}),)),
            "right",
            False,
        ),
        (
            Turn("", "none", forbid=["any_write"]),
            Answer("calls", (CallRecord("list_machines", {}),)),
            "wrong read",
            False,
        ),
        (
            Turn("", "none", forbid=["any_write"]),
            Answer("calls", (CallRecord("make_render", {}),)),
            "wrong write",
            True,
        ),
        (
            Turn("", "ask", forbid=["cancel_render.delete"]),
            Answer("calls", (CallRecord("cancel_render.cancel", {}),)),
            "wrong write",
            False,
        ),
        (
            Turn("", "ask", forbid=["memory.everything=true"]),
            Answer("calls", (CallRecord("memory.forget", {"everything": "true"}),)),
            "wrong write",
            True,
        ),
        (Turn("", "chat"), Answer("refuse"), "declined", False),
        (Turn("", "confirm", answer="no"), Answer("confirm"), "wrong confirm", False),
        (Turn("", "confirm", answer="yes"), Answer("confirm"), "right", False),
        (Turn("", "plan", steps=[{"list_machines": {}, "when": "later"}]), Answer("plan"), "right", False),
        (Turn("", "chat", also=["ask"]), Answer("ask"), "right", False),
        (Turn("", "chat"), Answer("failed"), "failed", False),
    ],
)
def test_an_answer_is_judged_by_what_was_wanted(
    turn: Turn, answer: Answer, outcome: str, forbidden: bool
) -> None:
    verdict = judge(turn, answer)
    assert (verdict.outcome, verdict.forbidden) == (outcome, forbidden)


def test_an_argument_that_does_more_than_was_asked_is_wrong() -> None:
    expected = [{"publish_render": {"action": "publish", "render": "latest"}}]
    assert calls_match(
        expected, [("publish_render", {"action": "publish", "render": "Welcome clip", "title": "x"})]
    )
    assert not calls_match(expected, [("publish_render", {"action": "publish", "privacy": "public"})])
    assert not calls_match(
        [{"memory": {"action": "forget", "about": "x"}}],
        [("memory", {"action": "forget", "about": "x", "everything": True})],
    )


def test_sentences_of_the_test_half_are_never_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--half", "test", "--show", "wrong"])
    assert "stay unread" in capsys.readouterr().err


def test_a_case_belongs_to_one_half_by_its_id() -> None:
    assert {Case(str(number), "en", "").half for number in range(20)} == {"dev", "test"}


def test_the_world_of_the_cases_has_what_they_name() -> None:
    world = read_world()
    assert world.of_kind("render")[0].name == "Welcome clip"
    assert [one.number for one in world.of_kind("scene") if one.parent == "Welcome week"] == [1, 2]
