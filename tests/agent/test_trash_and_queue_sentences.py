"""Sentences about the trash and the queue that the reader has not learned are understood, or asked about."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from agent.understanding import Grammar
from agent.understanding.corpus import parse_example, read_corpus
from agent.understanding.dialogue import Dialogue
from agent.understanding.intents import READS
from agent.understanding.interpreter import Interpreter
from agent.understanding.trained import load_reader
from agent.understanding.world import Thing, World
from bench.nlu_evaluation.cases import NOW, read_world

HELD_BACK = yaml.safe_load(Path(__file__).with_name("held_back_sentences.yaml").read_text(encoding="utf-8"))
UNDERSTOOD = 0.7
IN_TRASH = (
    Thing("trashed_render", "Tides", "rnd_tides"),
    Thing("trashed_render", "Gezeiten", "rnd_gezeiten"),
    Thing("trashed_project", "Harbour", "prj_harbour"),
    Thing("trashed_project", "Hafen", "prj_hafen"),
)
pytestmark = pytest.mark.cached("agent", "bench/nlu_evaluation")


def test_they_are_not_in_the_corpus() -> None:
    learned = {one.text.lower() for one in read_corpus().examples}
    texts = [parse_example(intent, "", one).text for intent, some in HELD_BACK.items() for one in some]
    assert len(texts) > 50 and [one for one in texts if one.lower() in learned] == []


def test_most_are_understood_and_none_leads_to_another_change(grammar: Grammar) -> None:
    reader = load_reader(train=True, encoder=True)
    assert reader is not None
    world = World((*read_world().things, *IN_TRASH), frozenset(reader.common_words))
    right, wrong, count = 0, [], 0
    for intent, some in HELD_BACK.items():
        for marked in some:
            example = parse_example(intent, "", marked)
            decision = Interpreter(reader).interpret(example.text, world, Dialogue(), NOW)
            offered = () if decision.question is None else decision.question.choices
            named = {span.slot: example.text[span.start : span.end] for span in example.spans}
            found = [(one.intent, dict(one.arguments)) for one in decision.calls or offered[:1]]
            count += 1
            right += found == [(intent, named)]
            others = [one for one, _ in found if decision.calls and one != intent and one not in READS]
            wrong += [(example.text, one) for one in others]
    assert wrong == []
    assert right >= UNDERSTOOD * count, f"{right} of {count}"


def test_what_is_there_is_not_restored_from_the_trash() -> None:
    """An earlier version of a project is meant, where it is not in the trash."""
    reader = load_reader(train=True, encoder=True)
    assert reader is not None
    world = World((*read_world().things, *IN_TRASH), frozenset(reader.common_words))
    for project, intent in (("Harbour tour", "edit_project.restore"), ("Harbour", "trash.restore_project")):
        decision = Interpreter(reader).interpret(f"restore the project {project}", world, Dialogue(), NOW)
        offered = () if decision.question is None else decision.question.choices
        assert [one.intent for one in decision.calls or offered[:1]] == [intent]
