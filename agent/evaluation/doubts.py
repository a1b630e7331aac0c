"""Fits the weights of agent/understanding/doubt.yaml: `python -m agent.evaluation.doubts`.

The corpus is halved; each half is read by a reader that was trained on the other. The first turns of the dev
half of the cases count for a quarter of it all. With the encoder, the half of `unseen/` that it did not learn
from is read. Some nine minutes of processor time.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from agent.evaluation.cases import NOW, read_cases, read_world
from agent.evaluation.scoring import Answer, judge
from agent.evaluation.unseen_sentences import unseen
from agent.sentences import LOADER
from agent.understanding import doubt
from agent.understanding.candidates import missing, plain
from agent.understanding.corpus import Corpus, Example, lexicon_of, read_corpus
from agent.understanding.dialogue import CallRecord
from agent.understanding.intents import READS
from agent.understanding.reader import Reader
from agent.understanding.sentence import Sentence
from agent.understanding.slots import Focus, SlotFiller
from agent.understanding.tagger import spans
from agent.understanding.trained import load_reader
from agent.understanding.training import kind_of, tags_of, train_reader, training_sentence
from agent.understanding.world import Thing, World

SEED = 5
OPENING = 12
"""Sentences whose first characters are the same belong to one half: their writers varied the rest."""
PRESENT = 0.7
"""The share of the other things that exist beside those that a sentence names."""
DEV_SHARE = {doubt.N_GRAMS: 0.25, doubt.WITH_ENCODER: 0.4}
"""How much the cases count, by the way to read; the sentences of the encoder are fewer and stranger."""
STEPS, RATE, RIDGE = 1500, 0.05, 1e-3

Array = NDArray[np.float64]
Sample = tuple[dict[str, float], bool]


def halves(corpus: Corpus) -> Iterator[tuple[Corpus, list[Example]]]:
    """Yields what to train on and what to read."""
    chance = random.Random(SEED)  # noqa: S311
    half: dict[tuple[str, str], bool] = {}
    for one in corpus.examples:
        half.setdefault(_opening(one), chance.random() < 0.5)
    for side in (True, False):
        rest = tuple(one for one in corpus.examples if half[_opening(one)] is not side)
        yield replace(corpus, examples=rest), [one for one in corpus.examples if half[_opening(one)] is side]


def _opening(example: Example) -> tuple[str, str]:
    return example.intent, example.text[:OPENING].lower()


def samples(
    reader: Reader, examples: Sequence[Example], lexicon: Any
) -> Iterator[tuple[dict[str, float], bool]]:
    """Yields the signs of each complete call that changes something, and whether it is right."""
    others = list(read_world().things)
    chance = random.Random(SEED)  # noqa: S311
    for example in examples:
        if not example.text.strip() or example.intent.startswith("plan."):
            continue
        world = world_of(example, others, chance, reader)
        candidates = reader.read(example.text, world, Focus(), NOW)
        best = candidates[0]
        arguments = plain(best.arguments)
        if best.tool is None or best.intent in READS or best.unknown or missing(best.intent, arguments):
            continue
        call = CallRecord(best.intent, arguments)
        yield doubt.signs(reader, world, candidates), is_right(call, example, world, reader, lexicon)


def dev_samples(reader: Reader) -> Iterator[tuple[dict[str, float], bool]]:
    """Yields the same of the first turns of the dev half."""
    world = read_world(frozenset(reader.common_words))
    for case in read_cases():
        turn = case.turns[0]
        candidates = (
            reader.read(turn.say, world, Focus(), NOW) if case.half == "dev" and turn.say.strip() else []
        )
        if not candidates or candidates[0].tool is None or candidates[0].intent in READS:
            continue
        best = candidates[0]
        arguments = plain(best.arguments)
        if not best.unknown and not missing(best.intent, arguments):
            answer = Answer("calls", (CallRecord(best.intent, arguments),))
            yield doubt.signs(reader, world, candidates), judge(turn, answer).outcome == "right"


def world_of(example: Example, others: Sequence[Thing], chance: random.Random, reader: Reader) -> World:
    """Returns a state in which what the sentence names exists."""
    named = []
    for span in example.spans:
        kind = kind_of(example, span.slot)
        if kind is not None and span.value is None:
            name = example.text[span.start : span.end]
            named.append(
                Thing(kind, name, parent="Harbour tour", number=1) if kind == "scene" else Thing(kind, name)
            )
    names = {one.name.lower() for one in named}
    present = [one for one in others if one.name.lower() not in names and chance.random() < PRESENT]
    return World((*named, *present), reader.common_words)


def is_right(call: CallRecord, example: Example, world: World, reader: Reader, lexicon: Any) -> bool:
    """Returns whether a call is what the sentence asks for, with the arguments that its marks give."""
    return call.intent == example.intent and _plain(plain(call.arguments)) == _plain(
        _marked(example, world, reader, lexicon)
    )


def _marked(example: Example, world: World, reader: Reader, lexicon: Any) -> dict[str, Any]:
    """Returns the arguments that the marks of the corpus give."""
    sentence: Sentence = training_sentence(example, None)
    found = spans(tags_of(example, sentence))
    sentence = sentence.with_mentions(world.mentions(sentence.tokens), reader.spelling)
    slots = sorted(reader.slots.get(example.intent, ()))
    return plain(
        SlotFiller(sentence, world, Focus(), NOW, lexicon).fill(example.intent, found, slots).arguments
    )


def _plain(arguments: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(value).lower().strip(' .!?,"')
        for name, value in arguments.items()
        if value not in (None, "", []) and name != "scene_numbers"
    }


def fit(found: Array, right: Array, share: Array) -> tuple[Array, float]:
    """Returns weights and bias of a logistic regression on standardised columns, by Adam. `share`: how much
    each row counts; they sum to 1.
    """
    mean, spread = found.mean(axis=0), found.std(axis=0) + 1e-6
    rows = np.hstack([(found - mean) / spread, np.ones((len(found), 1))])
    weights = np.zeros(rows.shape[1])
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        slope = rows.T @ (share * (1 / (1 + np.exp(-rows @ weights)) - right))
        slope[:-1] += RIDGE * weights[:-1]
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope * slope
        weights -= RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    scaled = weights[:-1] / spread
    return scaled, float(weights[-1] - scaled @ mean)


def fit_weights(found: Sequence[Sample], dev: Sequence[Sample], dev_share: float) -> dict[str, Any]:
    """Returns the weights for signs of sentences and of cases, with their counts."""
    names = list(found[0][0])
    right = np.array([float(one) for _, one in [*found, *dev]])
    rows = np.array([[signs[name] for name in names] for signs, _ in [*found, *dev]])
    share = np.array([(1 - dev_share) / len(found)] * len(found) + [dev_share / len(dev)] * len(dev))
    weights, bias = fit(rows, right, share)
    return {
        "sentences": len(found),
        "cases": len(dev),
        "right": round(float(right.mean()), 3),
        "weights": {"bias": round(bias, 4)}
        | {name: round(float(one), 4) for name, one in zip(names, weights, strict=True)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m agent.evaluation.doubts", description=__doc__)
    parser.add_argument("--encoder", action="store_true", help="only the weights of the reader with encoder")
    options = parser.parse_args()
    corpus = read_corpus()
    lexicon = lexicon_of(corpus.examples)
    reader = load_reader(train=True, encoder=True)
    assert reader is not None  # noqa: S101
    record = yaml.load(doubt.WEIGHTS.read_text(encoding="utf-8"), LOADER)  # noqa: S506
    if not options.encoder:
        found = [
            sample for rest, other in halves(corpus) for sample in samples(train_reader(rest), other, lexicon)
        ]
        record[doubt.N_GRAMS] = fit_weights(
            found, list(dev_samples(replace(reader, encoder=None))), DEV_SHARE[doubt.N_GRAMS]
        )
    if reader.encoder is not None:
        # The encoder knows all sentences of the corpus: the others tell its doubts.
        found = list(samples(reader, list(unseen(learned=False)), lexicon))
        record[doubt.WITH_ENCODER] = fit_weights(
            found, list(dev_samples(reader)), DEV_SHARE[doubt.WITH_ENCODER]
        )
    head = "# Written by python -m agent.evaluation.doubts: weights of agent/understanding/doubt.py.\n"
    Path(str(doubt.WEIGHTS)).write_text(head + yaml.safe_dump(record, sort_keys=False), encoding="utf-8")
    print(Path(str(doubt.WEIGHTS)).read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    main()
