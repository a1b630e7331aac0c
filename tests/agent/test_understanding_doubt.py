"""Tests how surely a call is right: the signs, their weights, and what always waits for a yes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml

from agent.understanding import doubt
from agent.understanding.agreement import agreement, choose
from agent.understanding.dialogue import CallRecord, Dialogue
from agent.understanding.encoder import load_encoder
from agent.understanding.intents import READS
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from agent.understanding.slots import Focus
from agent.understanding.world import World
from bench.nlu_evaluation import gate
from bench.nlu_evaluation.cases import NOW, read_world
from bench.nlu_evaluation.doubts import boost


@pytest.fixture
def world(reader: Reader) -> World:
    return read_world(frozenset(reader.common_words))


def _confidence(reader: Reader, world: World, text: str) -> float:
    return doubt.confidence(doubt.signs(reader, world, reader.read(text, world, Focus(), NOW)))


def test_the_trees_know_each_sign(reader: Reader, world: World) -> None:
    fitted = yaml.safe_load(doubt.TREES.read_text(encoding="utf-8"))
    for way, one in gate.ways(replace(reader, encoder=load_encoder())).items():
        found = doubt.signs(one, world, one.read("drain bolt", world, Focus(), NOW))
        assert fitted[way]["signs"] == list(found)


def test_trees_learn_what_two_signs_say_together() -> None:
    chance = np.random.default_rng(1)
    rows = chance.random((400, 3))
    right = (rows[:, 0] > 0.3) & ((rows[:, 1] > 0.5) | (rows[:, 2] > 0.8))
    bias, found = boost(rows, right.astype(float), np.full(400, 1 / 400))
    features, cuts, leaves = np.split(np.array(found), [doubt.DEPTH, 2 * doubt.DEPTH], axis=1)
    trees = doubt.Trees(("a", "b", "c"), bias, features.astype(np.int64), cuts, leaves)
    assert ((trees.total(rows) > 0) == right).mean() > 0.9


def test_a_tag_that_the_encoder_finds_improbable_is_a_sign(reader: Reader, world: World) -> None:
    both = replace(reader, encoder=load_encoder())
    plain, odd = (
        doubt.signs(both, world, both.read(text, world, Focus(), NOW))
        for text in ("drain bolt", "bolt the drain of atlas off with the drain")
    )
    assert odd["all tags"] < plain["all tags"] <= 0


def test_another_name_in_a_sentence_is_a_doubt(reader: Reader, world: World) -> None:
    plain = _confidence(reader, world, "drain bolt please")
    assert _confidence(reader, world, "drain bolt please, ember was the one Milo meant") < plain - 1


@pytest.mark.parametrize(
    "text",
    [
        "don't drain bolt",
        "drain comet, no wait, I mean bolt",
        "should I drain bolt?",
        "which jobs would stop if bolt is drained",
        "I was going to drain bolt but it's fine",
        "drain bolt, no, don't",
        "drain bolt, no, I don't want that",
        "drain bolt, but not today",
        "drain bolt, though atlas is not busy",
        "switch off the machines, but leave atlas, it must not stop",
        "fahr bolt herunter, aber nicht sofort",
        "fahr bolt herunter, nein das will ich nicht",
        "drain bolt, not right now",
        "drain bolt, I haven't decided yet",
        "drain bolt, as long as nobody uses it",
        "deploy tts, not more than two",
        "fahr bolt herunter, das war nicht ernst gemeint",
        "fahr bolt herunter, solange niemand darauf rechnet",
        "delete the Budget review video, not today please",
        "delete the Budget review video? I don't think so",
        "delete all failed videos, not the ones from today",
        "lösch das Video Budget review, nein, nicht dieses Video",
        "publish the Budget review video, never to the public",
        "turn off bolt, pardon, ON, turn it on",
        "restore version 7, no, 6 of the Harbour tour",
        "avatar-worker 2→5",
    ],
)
def test_words_against_a_change_never_make_it(reader: Reader, world: World, text: str) -> None:
    decision = Interpreter(reader).interpret(text, world, Dialogue(), NOW)
    assert decision.kind != "calls" or all(one.intent in READS for one in decision.calls)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("deploy tts, it is not in the farm yet", "change_job.deploy"),
        ("drain bolt, it does not answer", "change_machine.drain"),
        ("throw away the Budget review video, nobody needs it any more", "cancel_render.delete"),
        ("write a script about fire exits, don't film it yet", "write_script.draft"),
        ("Lösch das Video Budget review, das brauchen wir nicht mehr", "cancel_render.delete"),
    ],
)
def test_a_denial_that_says_why_needs_no_question(
    reader: Reader, world: World, text: str, intent: str
) -> None:
    both = replace(reader, encoder=load_encoder())
    decision = Interpreter(both).interpret(text, world, Dialogue(), NOW)
    assert (decision.kind, [one.intent for one in decision.calls]) == ("calls", [intent])


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("stop the Welcome clip", True),
        ("could you cancel the Welcome clip please", True),
        ("how do I stop the Welcome clip", False),
        ("remind me to stop the Welcome clip", False),
        ("stop telling me about the Welcome clip", False),
        ("stop Welcome clip from being deleted", False),
        ("keep the Welcome clip from getting cancelled", False),
        ("please, stop the Welcome clip", True),
        ("never stop the Welcome clip", False),
    ],
)
def test_a_video_that_is_named_is_stopped_by_an_order_alone(
    reader: Reader, world: World, text: str, *, does: bool
) -> None:
    both = replace(reader, encoder=load_encoder())
    decision = Interpreter(both).interpret(text, world, Dialogue(), NOW)
    assert (decision.kind == "calls") is does


def test_a_name_that_the_grammar_does_not_end_is_left_to_the_reader(reader: Reader, world: World) -> None:
    text = "create a project called Harbour, then show the video Welcome clip"
    exact = CallRecord("edit_project.create", {"title": "Harbour, then show the video Welcome clip"})
    found = agreement(reader, exact, text, world)
    assert not found.is_whole
    decision = choose(exact, found, Interpreter(reader).interpret(text, world, Dialogue(), NOW))
    assert decision is not None
    assert all("then" not in str(one.arguments.get("title")) for one in decision.calls)


def test_an_id_is_what_the_grammar_says(reader: Reader, world: World) -> None:
    exact = CallRecord("cancel_run", {"run": "run_01m7x62t1ff9vn5br46n53t9xj"})
    assert agreement(reader, exact, "cancel run_01m7x62t1ff9vn5br46n53t9xj", world).is_whole
