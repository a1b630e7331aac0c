"""The corpus names what exists; the trained reader is kept in a file that says what it was made from."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

import pytest

from agent.tools import ALL_TOOLS
from agent.understanding import trained
from agent.understanding.corpus import Corpus, Example, Several, parse_example, read_corpus
from agent.understanding.dialogue import Dialogue
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from agent.understanding.training import join_examples, train_reader
from agent.understanding.world import Thing, World

ACTIONS = {rule: tool for tool in ALL_TOOLS for rule in tool.rules}
ACTS = ("act.", "plan.")
SMALL = {
    "list_machines": (
        "show the machines",
        "which machines are there",
        "list all machines",
        "machines please",
    ),
    "change_machine.drain": (
        "drain [atlas](machine)",
        "please drain [bolt](machine)",
        "drain machine [comet](machine)",
    ),
    "act.thanks": ("thanks", "thank you", "many thanks", "thanks a lot"),
    "ssh": tuple(
        f"run [uptime](command) on [{name}](machine)" for name in ("atlas", "bolt", "comet", "ember")
    ),
}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return read_corpus()


def small_corpus() -> Corpus:
    sentences = [parse_example(intent, "en", one) for intent, some in SMALL.items() for one in some]
    sentences += [parse_example("act.thanks", "de", one) for one in ("danke", "danke schön", "vielen dank")]
    several = Several("drain atlas and show the machines", ("drain atlas", "show the machines"))
    return Corpus(tuple(sentences), (several,), {"en": [" and "]})


def small_reader() -> Reader:
    return train_reader(small_corpus(), seen=2)


def test_each_phrasing_names_a_tool_its_action_and_its_arguments(corpus: Corpus) -> None:
    wrong = [
        (one.intent, one.text)
        for one in corpus.examples
        if not one.intent.startswith(ACTS)
        and not (
            one.intent in ACTIONS
            and ACTIONS[one.intent].request.model_fields.keys() >= {span.slot for span in one.spans}
        )
    ]
    assert not wrong


UNLEARNED = frozenset({
    # A plan has sentences of other tools in it: its conditions are found by agent/understanding/when.py.
    "triggers.create",
    # Patterns read these (agent/understanding/asides.py) until the encoder is trained anew.
    "list_approvals",
    "edit_project.duplicate_scene",
    "edit_project.copy",
})  # fmt: skip
"""Intents that the reader does not learn."""


def test_each_action_has_phrasings_in_each_language(corpus: Corpus) -> None:
    for language in {one.language for one in corpus.examples}:
        there = {one.intent for one in corpus.examples if one.language == language}
        assert there >= ACTIONS.keys() - UNLEARNED


def test_no_phrasing_is_there_twice(corpus: Corpus) -> None:
    seen: set[Example] = set()
    assert [one for one in corpus.examples if one in seen or seen.add(one)] == []  # type: ignore[func-returns-value]


def test_no_mark_is_left_in_a_phrasing(corpus: Corpus) -> None:
    assert not [one.text for one in corpus.examples if "](" in one.text]


def test_the_parts_of_several_wishes_stand_in_their_sentence_in_order(corpus: Corpus) -> None:
    for one in corpus.several:
        at = 0
        for part in one.parts:
            at = one.text.index(part, at) + len(part)


def test_the_same_corpus_makes_the_same_file(tmp_path: Path) -> None:
    hashes = []
    for name in ("one.npz", "other.npz"):
        trained.save(small_reader(), tmp_path / name, "key")
        hashes.append(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert hashes[0] == hashes[1]


def test_a_loaded_reader_decides_as_the_trained_one(tmp_path: Path) -> None:
    reader = small_reader()
    trained.save(reader, tmp_path / "reader.npz", "key")
    loaded = trained.load(tmp_path / "reader.npz", "key")
    assert loaded is not None
    world = World((Thing("machine", "atlas"), Thing("machine", "bolt")), reader.common_words)
    now = datetime(2026, 11, 22, 10)
    for text in (
        "drain atlas",
        "show the machines",
        "thanks",
        "run uptime on bolt",
        "drain atlas and show the machines",
    ):
        one, other = (Interpreter(each).interpret(text, world, Dialogue(), now) for each in (reader, loaded))
        assert one == other
    assert Interpreter(loaded).interpret("thanks", world, Dialogue(), now).kind == "chat"


def test_a_file_of_another_key_is_not_loaded(tmp_path: Path) -> None:
    trained.save(small_reader(), tmp_path / "reader.npz", "old")
    assert trained.load(tmp_path / "reader.npz", "new") is None
    (tmp_path / "cut.npz").write_bytes((tmp_path / "reader.npz").read_bytes()[:900])
    assert trained.load(tmp_path / "cut.npz", "old") is None
    assert trained.load(tmp_path / "none.npz", "old") is None


def test_without_a_file_there_is_no_reader_unless_it_may_be_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(trained, "INSTALLED", tmp_path / "trained.npz")
    monkeypatch.setattr(trained, "read_corpus", small_corpus)
    assert trained.load_reader() is None
    reader = trained.load_reader(train=True)
    assert reader is not None and trained.load_reader() is reader
    assert trained.cache_path().is_relative_to(tmp_path)
    assert trained.install() == tmp_path / "trained.npz"
    assert trained.load(tmp_path / "trained.npz", trained.content_key()) is not None


def test_joined_sentences_have_their_parts_in_order() -> None:
    several = list(join_examples(small_corpus(), 20))
    assert len(several) == 20 and all(one.text == " and ".join(one.parts) for one in several)
    assert several == list(join_examples(small_corpus(), 20))
