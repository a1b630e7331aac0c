"""Fits the trees of agent/understanding/doubt.yaml: `python -m bench.nlu_evaluation.doubts`.

The sentences of `unseen/` are read. The first turns of the dev half of the cases, where the corpus does not
have them, count for a share of it all. Four minutes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from agent.sentences import read_yaml
from agent.understanding import doubt
from agent.understanding.candidates import missing, plain
from agent.understanding.corpus import Example, lexicon_of, read_corpus
from agent.understanding.dialogue import CallRecord, Dialogue
from agent.understanding.intents import READS
from agent.understanding.judgement import Judgement
from agent.understanding.reader import Reader
from agent.understanding.sentence import Sentence
from agent.understanding.slots import Focus, SlotFiller
from agent.understanding.tagger import spans
from agent.understanding.trained import load_reader
from agent.understanding.training import kind_of, tags_of, training_sentence
from agent.understanding.world import Thing, World
from bench.nlu_evaluation.cases import NOW, read_cases, read_world
from bench.nlu_evaluation.compare import plain as plain_text
from bench.nlu_evaluation.pronouns import with_pronoun
from bench.nlu_evaluation.scoring import Answer, judge
from bench.nlu_evaluation.unseen_sentences import unseen

SEED = 5
PRESENT = 0.7
"""The share of the other things that exist beside those that a sentence names."""
DEV_SHARE = 0.4
"""How much the cases count."""
COUNT, RATE, RIDGE, CUTS = 200, 0.08, 5.0, 48
SOME_ROWS, SOME_SIGNS = 0.6, 0.4

Array = NDArray[np.float64]
Sample = tuple[dict[str, float], bool]


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


def follow_up_samples(
    reader: Reader, examples: Sequence[Example], lexicon: Any
) -> Iterator[tuple[dict[str, float], bool]]:
    """Yields the same of sentences that say “it” for what was spoken of last."""
    others = list(read_world().things)
    chance = random.Random(SEED)  # noqa: S311
    for example in examples:
        found = with_pronoun(example, chance) if not example.intent.startswith(("act.", "plan.")) else None
        if found is None:
            continue
        world = world_of(example, others, chance, reader)
        dialogue = Dialogue(last={found.kind: found.name}, recent_kind=found.kind)
        candidates = reader.read(found.example.text, world, dialogue.focus(), NOW)
        best = candidates[0]
        if best.tool is None or best.intent in READS or best.unknown:
            continue
        decision = Judgement(reader, world, dialogue, NOW).call_or_ask(best, found.example.text)
        if decision.kind == "calls":
            right = is_right(decision.calls[0], example, world, reader, lexicon)
            yield doubt.signs(reader, world, candidates, found.kind), right


def dev_samples(reader: Reader) -> Iterator[tuple[dict[str, float], bool]]:
    """Yields the same of the first turns of the dev half."""
    world = read_world(frozenset(reader.common_words))
    learned = {plain_text(one.text) for one in read_corpus().examples}
    for case in read_cases():
        turn = case.turns[0]
        is_new = case.half == "dev" and bool(turn.say.strip()) and plain_text(turn.say) not in learned
        candidates = reader.read(turn.say, world, Focus(), NOW) if is_new else []
        if not candidates or candidates[0].tool is None or candidates[0].intent in READS:
            continue
        best = candidates[0]
        arguments = plain(best.arguments)
        if not best.unknown and not missing(best.intent, arguments):
            answer = Answer("calls", (CallRecord(best.intent, arguments),))
            yield doubt.signs(reader, world, candidates), judge(turn, answer).outcome == "right"


def world_of(example: Example, others: Sequence[Thing], chance: random.Random, reader: Reader) -> World:
    """Returns a state in which what the sentence names exists."""
    spans_named = [(kind_of(example, one.slot), one) for one in example.spans if one.value is None]
    kinds = [(kind, example.text[one.start : one.end]) for kind, one in spans_named if kind is not None]
    project = next((name for kind, name in kinds if kind == "project"), "Harbour tour")
    named = [
        Thing(kind, name, parent=project, number=1) if kind == "scene" else Thing(kind, name)
        for kind, name in kinds
    ]
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


def boost(rows: Array, right: Array, share: Array) -> tuple[float, list[list[float]]]:
    """Returns the bias and the boosted trees (Friedman 2001; oblivious, as those of CatBoost), by Newton
    steps. Each tree learns from some rows and some signs. `share`: how much each row counts; they sum to 1.
    """
    chance = np.random.default_rng(SEED)
    cuts = [(at, cut) for at in range(rows.shape[1]) for cut in _cuts(rows[:, at])]
    column = np.array([at for at, _ in cuts])
    above = np.stack([rows[:, at] > cut for at, cut in cuts], axis=1)
    matrix, share = above.astype(np.float32), share * len(rows)
    bias = float(np.log((share * right).sum() / (share * (1 - right)).sum()))
    total = np.full(len(rows), bias)
    trees: list[list[float]] = []
    for _ in range(COUNT):
        odds = 1 / (1 + np.exp(-total))
        counted = share * (chance.random(len(rows)) < SOME_ROWS)
        slope, bend = counted * (right - odds), counted * odds * (1 - odds)
        some = np.isin(column, chance.permutation(rows.shape[1])[: int(SOME_SIGNS * rows.shape[1])])
        leaf, chosen = np.zeros(len(rows), np.int64), []
        for _ in range(doubt.DEPTH):
            gain = sum(_gain(slope * (leaf == one), bend * (leaf == one), matrix) for one in np.unique(leaf))
            chosen.append(int(np.where(some, gain, -1).argmax()))
            leaf = 2 * leaf + above[:, chosen[-1]]
        leaves = 2**doubt.DEPTH
        values = RATE * np.bincount(leaf, slope, leaves) / (np.bincount(leaf, bend, leaves) + RIDGE)
        total += values[leaf]
        trees.append([*(cuts[one][0] for one in chosen), *(cuts[one][1] for one in chosen), *values])
    return bias, trees


def _cuts(column: Array) -> Array:
    """Returns the values that split a column of signs into parts of about one size."""
    found = np.unique(np.quantile(column, np.linspace(0, 1, CUTS)[1:-1], method="nearest"))
    below: Array = found[found < column.max()]
    return below


def _gain(slope: Array, bend: Array, above: NDArray[np.float32]) -> Array:
    """Returns how much each cut lowers the loss of the rows whose slope and bend are not zero."""
    first, second = slope.astype(np.float32) @ above, bend.astype(np.float32) @ above
    gain: Array = first**2 / (second + RIDGE) + (slope.sum() - first) ** 2 / (bend.sum() - second + RIDGE)
    return gain


def fit_trees(found: Sequence[Sample], dev: Sequence[Sample], dev_share: float) -> dict[str, Any]:
    """Returns the trees for signs of sentences and of cases, with their counts."""
    names = list(found[0][0])
    right = np.array([float(one) for _, one in [*found, *dev]])
    rows = np.array([[signs[name] for name in names] for signs, _ in [*found, *dev]])
    share = np.array([(1 - dev_share) / len(found)] * len(found) + [dev_share / len(dev)] * len(dev))
    bias, trees = boost(rows, right, share)
    return {
        "sentences": len(found),
        "cases": len(dev),
        "right": round(float(right.mean()), 3),
        "signs": names,
        "bias": round(bias, 4),
        "trees": [[float(f"{one:.5g}") for one in tree] for tree in trees],
    }


def main() -> None:
    lexicon = lexicon_of(read_corpus().examples)
    reader = load_reader(train=True, encoder=True)
    assert reader is not None
    record = read_yaml(doubt.TREES)
    ways = {doubt.N_GRAMS: replace(reader, encoder=None)}
    if reader.encoder is not None:
        ways[doubt.WITH_ENCODER] = reader
    sentences = list(unseen())
    for way, one in ways.items():
        found = [*samples(one, sentences, lexicon), *follow_up_samples(one, sentences, lexicon)]
        record[way] = fit_trees(found, list(dev_samples(one)), DEV_SHARE)
        print(f"{way}: {record[way]['sentences']} sentences, {record[way]['cases']} cases")
    head = "# Written by python -m bench.nlu_evaluation.doubts: the trees of agent/understanding/doubt.py.\n"
    dump = yaml.safe_dump(record, sort_keys=False, width=1000, default_flow_style=None)
    doubt.TREES.write_text(head + dump, encoding="utf-8")


if __name__ == "__main__":
    main()
