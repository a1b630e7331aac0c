"""Estimates how probably the call that a clause asks for is right with all its arguments.

Boosted trees over signs of the reading. `python -m bench.nlu_evaluation.doubts` fits those in doubt.yaml on
sentences that the reader was not trained on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import ne
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.sentences import read_yaml
from agent.understanding import changes, values
from agent.understanding.candidates import is_half_timed, own, plain
from agent.understanding.labels import SENTENCE_STOP
from agent.understanding.reader import TAG_SHARE, Candidate, Reader, Reading
from agent.understanding.slots import Focus
from agent.understanding.tagger import spans
from agent.understanding.world import SURE_NAME, Thing, World

N_GRAMS, WITH_ENCODER = "n-grams", "n-grams and encoder"
"""The two ways to read, each with weights of its own."""
TREES = Path(__file__).with_name("doubt.yaml")
DEPTH = 3
"""Questions of each tree."""
NARROW = 1.0
"""A smaller gap between the scores of two tags is a doubt."""
ALONE = 1000.0
"""Times the encoder's scores those of the n-grams count for nothing."""
NARROW_LOG = 1.5
"""The same as `NARROW` for the encoder, whose scores are logarithms."""
WIDE = 10.0
LONG = 20
"""Words of a long sentence."""
SMALLEST = 1e-4
LEAST_LOG = -20.0
ANY_TIME = datetime(2000, 1, 1)
"""Where only differences count."""
TEXT_GROUPS: Mapping[str, frozenset[str]] = {
    "script": frozenset({"script", "text"}),
    "title": frozenset({"title", "name", "heading"}),
    "topic": frozenset({"topic", "about", "description", "purpose", "person"}),
    "code": frozenset({"code", "command", "variables"}),
}

_STOP = re.compile(r"[,;.!?:–—-]\s")
_WORD = re.compile(r"[\w'’-]+")


def signs(
    reader: Reader, world: World, candidates: Sequence[Candidate], recent: str = ""
) -> dict[str, float]:
    """Returns what speaks for and against the first candidate, by name. `recent`: the kind of thing that was
    spoken of last.
    """
    best, text = candidates[0], candidates[0].text
    labels = reader.classifier.labels
    reading = reader.reading(text, world)
    sentence = reading.sentence
    probabilities = reader.probabilities(text, world)
    acts = sum(float(one) for one, label in zip(probabilities, labels, strict=True) if is_act(label))
    gaps = sorted(best.gaps)[:2]
    words = len(sentence.tokens)
    spoken = own(best, text)
    slots = reader.slots.get(best.intent, ())
    rest = _WORD.findall(best.rest.lower())
    joint = max((sure for _, sure in reader.cuts(text, world)), default=0.0)
    return {
        "sureness": _logit(best.sureness),
        "sureness by words": _logit(float(reading.probabilities[labels.index(best.intent)])),
        "second": math.log((candidates[1].sureness if len(candidates) > 1 else 0.0) + SMALLEST),
        "acts": math.log(acts + SMALLEST),
        "words": math.log(words + 1),
        "long": max(0, words - LONG) / 10,
        "quoted": float(any(token.text == "<text>" for token in sentence.tokens)),
        "smallest gap": min(gaps[0], WIDE) if gaps else 0.0,
        "second gap": min(gaps[-1], WIDE) if gaps else 0.0,
        "narrow gaps": float(min(sum(gap < NARROW for gap in best.gaps), 4)),
        "arguments": float(len(best.arguments)),
        "unread": float(len(best.unread)),
        **_loose(best, text),
        "negation": float(values.matches("negation", spoken)),
        "cue": float(values.missing_cue(best.rest, best.arguments, slots) is not None),
        "number": float(values.matches("number", best.rest)),
        "half timed": float("publish_at" in slots and is_half_timed(best)),
        "latest": float("render" in slots and "render" not in best.arguments),
        "second wish": math.log(joint + 1e-3),
        "unused names": _unused_names(sentence.mentions, best),
        "rare words": float(
            min(sum(one not in reader.common_words and not one.isdigit() for one in rest), 4)
        ),
        "sentences": float(min(len(SENTENCE_STOP.findall(spoken)), 4)),
        "pronoun": float(values.says_pronoun(best.rest)),
        "spoken of": float(recent in reader.kinds_of(best.intent)) - 0.5 if recent else 0.0,
        "corrects itself": float(changes.matches("corrects_itself", text)),
        "same arguments alone": float(_has_same_arguments_alone(reader, world, best)),
        **_agreement(reader, reading, best.intent),
    }


def _agreement(reader: Reader, reading: Reading, intent: str) -> dict[str, float]:
    """Returns how far the tags of an intent's arguments agree with each other and, where there is an encoder,
    n-grams with the encoder.
    """
    views = reading.sentence.views()
    by_words, _ = reader.tagger.tag(views, intent)
    if reading.by_meaning is None or reading.encoded is None:
        return {"named twice": _named_twice(by_words)}
    words, meaning = reading.by_words, reading.by_meaning
    place = reader.classifier.labels.index(intent)
    scores = reader.tag_scores(reading.encoded, intent)
    by_both, _ = reader.tagger.tag(views, intent, TAG_SHARE * scores)
    by_meaning, gaps = reader.tagger.tag(views, intent, ALONE * scores)
    logs = _tag_logs(reader, scores, intent, by_both)
    return {
        "named twice": _named_twice(by_both),
        "all tags": max(sum(logs), LEAST_LOG),
        "least sure tag": logs[0],
        "second least sure tag": logs[min(1, len(logs) - 1)],
        "by n-grams": _logit(float(words[place])),
        "by meaning": _logit(float(meaning[place])),
        "same intent": float(words.argmax() == meaning.argmax()),
        "tags differ": float(min(sum(map(ne, by_words, by_meaning)), 4)),
        "arguments differ": float(min(len({*spans(by_both)} ^ {*spans(by_meaning)}), 3)),
        "narrow by meaning": float(min(sum(gap < ALONE * NARROW_LOG for gap in gaps), 4)),
    }


def _has_same_arguments_alone(reader: Reader, world: World, best: Candidate) -> bool:
    """Returns whether the n-grams alone find the same arguments."""
    if reader.encoder is None:
        return True
    both, alone = (
        plain(one.fill_as(best.intent, best.text, world, Focus(), ANY_TIME).arguments)
        for one in (reader, reader.by_words)
    )
    return both == alone


def _named_twice(tags: Sequence[str]) -> float:
    """Returns how many arguments that take one value have another one besides."""
    found = [slot for slot, _, _ in spans(tags) if slot != "machines"]
    return float(min(len(found) - len(set(found)), 2))


def _tag_logs(reader: Reader, scores: NDArray[np.float32], intent: str, tags: Sequence[str]) -> list[float]:
    """Returns the logarithms of how probable the encoder finds each tag, the least probable first."""
    columns = np.flatnonzero(reader.tagger.allowed[intent])
    chosen = np.array([reader.tagger.tags.index(one) for one in tags])
    sums = np.log(np.exp(np.clip(scores[:, columns], -50, 50)).sum(axis=1))
    return sorted(float(one) for one in scores[np.arange(len(tags)), chosen] - sums)


def is_act(label: str) -> bool:
    """Returns whether a label of the classifier is no call."""
    return label.startswith(("act.", "plan."))


def confidence(found: Mapping[str, float]) -> float:
    """Returns the log-odds that a call with these signs is right."""
    trees = read_trees(WITH_ENCODER if "by meaning" in found else N_GRAMS)
    return float(trees.total(np.array([[found[name] for name in trees.names]]))[0])


@dataclass(frozen=True, slots=True)
class Trees:
    """Each tree asks `DEPTH` questions, whether sign `features[tree, n]` is above `cuts[tree, n]`, and by the
    answers adds one of its `values`, (trees, 2 to the power of `DEPTH`).
    """

    names: tuple[str, ...]
    bias: float
    features: NDArray[np.int64]
    cuts: NDArray[np.float64]
    values: NDArray[np.float64]

    def total(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the log-odds for each row of signs."""
        answers = (rows[:, self.features] > self.cuts) @ (1 << np.arange(DEPTH)[::-1])
        total: NDArray[np.float64] = self.bias + self.values[np.arange(len(self.values)), answers].sum(axis=1)
        return total


@cache
def read_trees(way: str) -> Trees:
    """Returns the fitted trees for a way to read."""
    fitted: Mapping[str, Any] = read_yaml(TREES)[way]
    rows = np.array(fitted["trees"], np.float64)
    features, cuts, leaves = np.split(rows, [DEPTH, 2 * DEPTH], axis=1)
    return Trees(tuple(fitted["signs"]), fitted["bias"], features.astype(np.int64), cuts, leaves)


def _logit(probability: float) -> float:
    return math.log(probability + SMALLEST) - math.log(1 - probability + SMALLEST)


def _loose(candidate: Candidate, text: str) -> dict[str, float]:
    """Returns signs of free texts that are neither quoted nor after a colon."""
    shown = text.rstrip(" .!?\n\"”'")
    texts = [str(candidate.arguments.get(slot, "")).strip(" .!?") for slot in candidate.loose]
    within = any(not shown.endswith(one) for one in texts)
    found = {
        "loose": float(len(candidate.loose)),
        "loose within": float(sum(not shown.endswith(one) for one in texts)),
        "loose words": math.log(1 + max((len(one.split()) for one in texts), default=0)),
        "loose stops": float(sum(bool(_STOP.search(one)) for one in texts)),
    }
    for group, slots in TEXT_GROUPS.items():
        is_loose = bool(slots & set(candidate.loose))
        found[f"loose {group}"] = float(is_loose)
        found[f"loose {group} within"] = float(is_loose and within)
    return found


def _unused_names(mentions: Sequence[Any], candidate: Candidate) -> float:
    """Returns how many names of things, up to three, are no argument and in none."""
    flat = [
        one
        for value in candidate.arguments.values()
        for one in (value if isinstance(value, list) else [value])
    ]
    things = [one for one in flat if isinstance(one, Thing)]
    texts = " ".join(one.lower() for one in flat if isinstance(one, str))
    used = [(one.start, one.end) for one in mentions if one.thing in things]
    places = {
        (one.start, one.end)
        for one in mentions
        if one.sureness >= SURE_NAME
        and one.thing.name.lower() not in texts
        and not any(one.start < end and start < one.end for start, end in used)
    }
    return float(min(len(places), 3))
