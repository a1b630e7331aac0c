"""The trained sentence model: what it sees of a sentence, what it finds, and the reader without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agent.memory import sentence_files
from agent.memory.sentence_model import WordPieces, load_published
from agent.understanding import encoder
from agent.understanding.corpus import parse_example
from agent.understanding.dialogue import Dialogue
from agent.understanding.doubt import ALONE
from agent.understanding.encoder import SentenceEncoder, add_updates, load_encoder
from agent.understanding.encoder_input import MARKS, MOST_PIECES, encoder_input
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from agent.understanding.sentence import Sentence, quotations
from agent.understanding.slots import Focus
from agent.understanding.tagger import OUTSIDE, spans
from agent.understanding.trained import load_reader
from agent.understanding.world import World
from bench.nlu_evaluation import encoder_samples
from bench.nlu_evaluation.cases import NOW, read_world

pytest.importorskip(sentence_files.PACKAGE, reason="needs the sentence model: uv sync --extra memory")


@pytest.fixture(scope="module")
def vocabulary() -> WordPieces:
    return load_published()[0]


@pytest.fixture(scope="module")
def sentence_encoder() -> SentenceEncoder:
    found = load_encoder()
    assert found is not None
    return found


@pytest.fixture
def world(reader: Reader) -> World:
    return read_world(frozenset(reader.common_words))


@pytest.fixture
def without_cache() -> Iterator[None]:
    load_encoder.cache_clear()
    yield
    load_encoder.cache_clear()


def sentence_of(text: str, world: World) -> Sentence:
    sentence = Sentence.of(text, quotations(text))
    return sentence.with_mentions(world.mentions(sentence.tokens))


def test_names_are_seen_by_their_kinds_and_quotations_by_a_mark(world: World, vocabulary: WordPieces) -> None:
    seen = encoder_input(sentence_of('have Vera say "We are open" in Harbour tour', world), vocabulary)
    shown = [MARKS[mark] for mark in seen.marks]
    assert list(seen.pieces[1:-1]) == vocabulary.numbers_of("have presenter say text in project")
    assert shown[1:-1] == ["plain", "name", "plain", "text", "plain", "name"]
    assert seen.first == (1, 2, 3, 4, 5, 6, 6)


def test_a_long_sentence_is_cut_off_and_its_rest_has_no_state(
    sentence_encoder: SentenceEncoder, vocabulary: WordPieces, world: World
) -> None:
    sentence = sentence_of("drain bolt " + "and wait " * 200, world)
    seen = encoder_input(sentence, vocabulary)
    assert len(seen.pieces) == MOST_PIECES
    assert seen.first[-1] == -1
    inner = sentence_encoder.read([sentence])[0].inner
    assert len(inner) == len(sentence.tokens)
    assert not inner[-1].any() and inner[0].any()


@pytest.mark.parametrize("text", ["", "🙂", "\u200b", "漢字", "wo bleibt mein Video von gestern?"])
def test_strange_sentences_have_probabilities_and_a_row_for_each_token(
    sentence_encoder: SentenceEncoder, world: World, text: str
) -> None:
    sentence = sentence_of(text, world)
    encoded = sentence_encoder.read([sentence, sentence_of("another one", world)])[0]
    assert encoded.probabilities.sum() == pytest.approx(1, abs=1e-4)
    assert len(encoded.inner) == len(sentence.tokens)
    assert sentence_encoder.read([sentence])[0] is encoded


def test_together_sentences_are_read_as_alone(sentence_encoder: SentenceEncoder, world: World) -> None:
    sentence = sentence_of("show me the machines", world)
    _, together = sentence_encoder.read([sentence_of("is atlas busy? " * 9, world), sentence])
    fresh = load_encoder.__wrapped__()
    assert fresh is not None
    (alone,) = fresh.read([sentence])
    assert np.abs(together.probabilities - alone.probabilities).max() < 1e-5
    assert np.abs(together.inner - alone.inner).max() < 1e-4


def test_a_matrix_has_the_product_of_its_two_small_ones_added_up_to_the_last_layer() -> None:
    name = "encoder.layer.{}.output.dense.weight"
    weights = {name.format(layer): np.ones((2, 3), np.float32) for layer in (0, 4)}
    small = {
        f"{path}.{part}": np.full(shape, 2, np.float32)
        for path in weights
        for part, shape in (("up", (2, 1)), ("down", (1, 3)))
    }
    found = add_updates(weights, small, layers=4)
    assert (found[name.format(0)] == 5).all()
    assert (found[name.format(4)] == 1).all()


def test_an_intent_that_it_has_not_learned_is_as_probable_as_the_n_grams_say(
    sentence_encoder: SentenceEncoder, world: World
) -> None:
    encoded = sentence_encoder.read([sentence_of("drain bolt", world)])[0]
    labels = ("change_machine.drain", "brew_coffee")
    found = sentence_encoder.intents_as(labels, encoded, np.array([0.25, 0.125], np.float32))
    assert found[0] == encoded.probabilities[sentence_encoder.intents.index(labels[0])]
    assert found[1] == np.float32(0.125)
    assert not sentence_encoder.tag_scores(encoded, "brew_coffee", (OUTSIDE, "B-cup")).any()
    scores = sentence_encoder.tag_scores(encoded, "change_machine.drain", (OUTSIDE, "B-machine", "B-cup"))
    assert (scores[:, 2] == scores[:, 0]).all()
    assert scores[1, 1] > scores[1, 0]


def test_the_words_of_one_name_are_one_argument(
    sentence_encoder: SentenceEncoder, reader: Reader, world: World
) -> None:
    """The encoder sees one word for a whole name: what begins there goes on in its other words."""
    sentence = sentence_of("please delete the video Harbour teaser", world)
    encoded = sentence_encoder.read([sentence])[0]
    assert encoded.goes_on.tolist() == [False] * 5 + [True]
    scores = sentence_encoder.tag_scores(encoded, "cancel_render.delete", reader.tagger.tags)
    tags, _ = reader.tagger.tag(sentence.views(), "cancel_render.delete", ALONE * scores)
    assert spans(tags) == [("render", 4, 6)]


def test_a_reader_with_it_reads_one_wish_and_several(world: World) -> None:
    both = load_reader(train=True, encoder=True)
    assert both is not None
    text = "any chance that clip is through yet?"
    assert both.read(text, world, Focus(), NOW)[0].intent in ("list_renders", "show_render")
    decision = Interpreter(both).interpret("show me the machines and then the videos", world, Dialogue(), NOW)
    assert [call.intent for call in decision.calls] == ["list_machines", "list_renders"]


def test_its_intents_and_tags_are_those_of_the_corpus(
    reader: Reader, sentence_encoder: SentenceEncoder
) -> None:
    assert set(reader.classifier.labels) == set(sentence_encoder.intents)
    assert set(reader.tagger.tags) <= set(sentence_encoder.tags)


def test_without_the_package_or_the_file_the_n_grams_read_alone(
    reader: Reader, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, without_cache: None
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sentence_files, "PACKAGE", "not_installed")
        assert load_encoder() is None
    load_encoder.cache_clear()
    monkeypatch.setattr(encoder, "FILE", tmp_path / "encoder.npz")
    assert load_encoder() is None
    alone = reader.read("drain bolt", world, Focus(), NOW)
    assert alone[0].intent == "change_machine.drain"


def test_samples_have_a_tag_where_a_token_begins(vocabulary: WordPieces) -> None:
    tags = (OUTSIDE, "B-persona", "I-persona", "B-script", "I-script")
    example = parse_example("make_render", "en", "have [Käpt'n Blau](persona) say: [hi all](script)")
    pieces, marks, tagged = encoder_samples.row_of(example, None, tags, vocabulary)
    assert list(pieces[1:-1]) == vocabulary.numbers_of("have presenter say text")
    assert tagged == [encoder_samples.NO_TAG, 0, 1, 0, 3, encoder_samples.NO_TAG]
    assert [MARKS[mark] for mark in marks[1:-1]] == ["plain", "name", "plain", "text"]
