"""Finds arguments in a sentence: an averaged perceptron over token sequences.

Collins: Discriminative Training Methods for Hidden Markov Models, EMNLP 2002.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from agent.understanding.classifier import Rows, rows_of
from agent.understanding.recent import Recent

EPOCHS = 8
OUTSIDE = "O"
SMALLEST = 0.02
"""Smaller weights are left out; the larger ones are about 1."""
RECENT = 16
"""Sentences and intents whose scores are ready: one answer tags a sentence up to four times."""
_FORBIDDEN = np.float32(-1e6)


@dataclass(frozen=True, slots=True)
class TokenView:
    """Shows a token to the tagger: the word in lower case, its shape, and the kinds that it may name."""

    word: str
    shape: str
    kinds: tuple[str, ...] = ()


def token_features(views: Sequence[TokenView], intent: str) -> list[NDArray[np.uint32]]:
    """Returns the hashed features of each token."""
    tool = intent.partition(".")[0]
    found = []
    for place, view in enumerate(views):
        around = [views[at].word if 0 <= at < len(views) else "<>" for at in range(place - 3, place + 4)]
        kinds = [views[at].kinds if 0 <= at < len(views) else () for at in range(place - 1, place + 2)]
        names = {
            f"0{view.word}", f"i{intent} {view.word}", f"h{view.shape}", f"p{view.word[:3]}",
            f"t{view.word[-3:]}", f"-1{around[2]}", f"-2{around[1]}", f"-3{around[0]}", f"+1{around[4]}",
            f"+2{around[5]}", f"+3{around[6]}", f"-21{around[1]} {around[2]}", f"-10{around[2]} {view.word}",
            f"01{view.word} {around[4]}", f"12{around[4]} {around[5]}",
            f"-321{around[0]} {around[1]} {around[2]}",
            f"i-1{intent} {around[2]}", f"i-21{intent} {around[1]} {around[2]}", f"i+1{intent} {around[4]}",
            f"ih{intent} {view.shape}", f"a{intent}", f"l{tool} {min(place, 3)}",
            f"f{tool} {len(views) - place < 3}", f"l{tool} {around[2]} {view.shape}",
            *(f"k{kind}" for kind in view.kinds), *(f"ik{intent} {kind}" for kind in view.kinds),
            *(f"k-1{tool} {kind}" for kind in kinds[0]), *(f"k+1{tool} {kind}" for kind in kinds[2]),
            f"k{tool} {'+'.join(view.kinds)} {around[2]}",
        }  # fmt: skip
        found.append(np.array(sorted(crc32(name.encode()) for name in names), np.uint32))
    return found


@dataclass(frozen=True, slots=True)
class Tagger:
    """`tags` are O, B-slot and I-slot. `allowed`: the tags that may occur with an intent.

    Sparse weights: those of feature `n` are `values[starts[n]:starts[n + 1]]`, for the tags `columns[…]`.
    """

    tags: tuple[str, ...]
    known: NDArray[np.uint32]
    starts: NDArray[np.int32]
    columns: NDArray[np.uint16]
    values: NDArray[np.float16]
    transitions: NDArray[np.float32]
    allowed: Mapping[str, NDArray[np.bool_]]
    _recent: Recent = field(default_factory=lambda: Recent(RECENT), init=False, repr=False, compare=False)

    def tag(
        self, views: Sequence[TokenView], intent: str, added: NDArray[np.float32] | None = None
    ) -> tuple[list[str], list[float]]:
        """Returns the tag of each token, and by how much its score is above that of the next one.

        `added`: scores (tokens, tags) of another model.
        """
        if not views or intent not in self.allowed:
            return [OUTSIDE] * len(views), []
        columns = np.flatnonzero(self.allowed[intent])
        scores = self._own_scores(tuple(views), intent)[:, columns]
        if added is not None:
            scores += added[:, columns]
        path = _best_path(scores, self.transitions[np.ix_(columns, columns)])
        places = np.arange(len(path))
        best = scores[places, path]
        scores[places, path] = -np.inf
        gaps = best - scores.max(axis=1) if len(columns) > 1 else []
        return [self.tags[columns[one]] for one in path], [float(one) for one in gaps]

    def _own_scores(self, views: tuple[TokenView, ...], intent: str) -> NDArray[np.float32]:
        """Returns the scores (tokens, tags), for the last few sentences without adding them up again."""

        def find() -> NDArray[np.float32]:
            return self._scores([rows_of(self.known, one) for one in token_features(views, intent)])

        return self._recent.get((views, intent), None, find)

    def _scores(self, rows: Sequence[Rows]) -> NDArray[np.float32]:
        """Returns the sum of the weights for each token (row) and tag (column)."""
        features = np.concatenate(rows)
        first, last = self.starts[features], self.starts[features + 1]
        counts = last - first
        at = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        token = np.repeat(np.repeat(np.arange(len(rows)), [len(one) for one in rows]), counts)
        cells = token * len(self.tags) + self.columns[at]
        sums = np.bincount(cells, weights=self.values[at], minlength=len(rows) * len(self.tags))
        return sums.reshape(len(rows), len(self.tags)).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns what `load` needs, by name, for a file."""
        intents = sorted(self.allowed)
        return {
            "tags": np.array(self.tags),
            "tag_known": self.known,
            "tag_starts": self.starts,
            "tag_columns": self.columns,
            "tag_values": self.values,
            "tag_transitions": self.transitions,
            "tag_intents": np.array(intents),
            "tag_allowed": np.stack([self.allowed[intent] for intent in intents]),
        }

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Tagger:
        allowed = arrays["tag_allowed"].astype(np.bool_)
        return cls(
            tuple(str(tag) for tag in arrays["tags"]),
            arrays["tag_known"].astype(np.uint32),
            arrays["tag_starts"].astype(np.int32),
            arrays["tag_columns"].astype(np.uint16),
            arrays["tag_values"].astype(np.float16),
            arrays["tag_transitions"].astype(np.float32),
            {str(intent): allowed[place] for place, intent in enumerate(arrays["tag_intents"])},
        )


def _best_path(scores: NDArray[np.float32], transitions: NDArray[np.float32]) -> list[int]:
    """Returns the best column for each row (Viterbi)."""
    best = scores[0]
    back = []
    for row in scores[1:]:
        paths = best[:, None] + transitions
        came_from = paths.argmax(axis=0)
        back.append(came_from)
        best = paths[came_from, np.arange(len(row))] + row
    path = [int(best.argmax())]
    for came_from in reversed(back):
        path.append(int(came_from[path[-1]]))
    return path[::-1]


@dataclass(frozen=True, slots=True)
class Tagged:
    """A sentence of the corpus for training: views, the intent, and the right tags."""

    views: Sequence[TokenView]
    intent: str
    tags: Sequence[str]


def train(samples: Sequence[Tagged], *, epochs: int = EPOCHS, seed: int = 7, seen: int = 2) -> Tagger:
    """Returns a tagger of the samples. Features that occur less than `seen` times are left out."""
    slots = sorted({tag[2:] for sample in samples for tag in sample.tags if tag != OUTSIDE})
    tags = (OUTSIDE, *(f"{begin}-{slot}" for slot in slots for begin in "BI"))
    number = {tag: place for place, tag in enumerate(tags)}
    hashed = [token_features(sample.views, sample.intent) for sample in samples]
    known, counts = np.unique(np.concatenate([one for some in hashed for one in some]), return_counts=True)
    known = known[counts >= seen]
    rows = [[rows_of(known, one) for one in some] for some in hashed]
    gold = [[number[tag] for tag in sample.tags] for sample in samples]
    allowed = _allowed(samples, number)
    columns = {intent: np.flatnonzero(mask) for intent, mask in allowed.items()}
    legal = _legal(tags)
    weights, weight_sum = np.zeros((2, len(known), len(tags)), np.float32)
    moves, move_sum = np.zeros((2, len(tags), len(tags)), np.float32)
    order = np.random.default_rng(seed)
    step = 0
    for _ in range(epochs):
        for sample in order.permutation(len(samples)):
            step += 1
            at, right, some = rows[sample], gold[sample], columns[samples[sample].intent]
            scores = np.stack([weights[one].sum(axis=0)[some] for one in at])
            among = np.ix_(some, some)
            path = _best_path(scores, moves[among] + legal[among])
            guess = [int(some[one]) for one in path]
            if guess == right:
                continue
            _update(weights, moves, at, right, guess, 1)
            _update(weight_sum, move_sum, at, right, guess, step)
    averaged = weights - weight_sum / step
    averaged[np.abs(averaged) < SMALLEST] = 0
    remaining = np.flatnonzero(averaged.any(axis=1))
    places, columns_of = np.nonzero(averaged[remaining])
    starts = np.searchsorted(places, np.arange(len(remaining) + 1)).astype(np.int32)
    values = averaged[remaining][places, columns_of].astype(np.float16)
    transitions = (moves - move_sum / step + legal).astype(np.float32)
    return Tagger(tags, known[remaining], starts, columns_of.astype(np.uint16), values, transitions, allowed)


def _update(
    weights: NDArray[np.float32],
    moves: NDArray[np.float32],
    rows: Sequence[Rows],
    right: Sequence[int],
    guess: Sequence[int],
    by: float,
) -> None:
    for place, (gold, found) in enumerate(zip(right, guess, strict=True)):
        if gold != found:
            weights[rows[place], gold] += by
            weights[rows[place], found] -= by
        if place:
            moves[right[place - 1], gold] += by
            moves[guess[place - 1], found] -= by


def _allowed(samples: Sequence[Tagged], number: Mapping[str, int]) -> dict[str, NDArray[np.bool_]]:
    found: dict[str, NDArray[np.bool_]] = {}
    for sample in samples:
        mask = found.setdefault(sample.intent, np.zeros(len(number), np.bool_))
        mask[0] = True
        for tag in set(sample.tags) - {OUTSIDE}:
            mask[[number[f"B-{tag[2:]}"], number[f"I-{tag[2:]}"]]] = True
    return found


def _legal(tags: Sequence[str]) -> NDArray[np.float32]:
    """Returns 0 where a tag may follow another, else a large negative number."""
    moves = np.zeros((len(tags), len(tags)), np.float32)
    for after, tag in enumerate(tags):
        if tag.startswith("I-"):
            moves[:, after] = _FORBIDDEN
            for before in (f"B-{tag[2:]}", tag):
                moves[tags.index(before), after] = 0
    return moves


def spans(tags: Collection[str]) -> list[tuple[str, int, int]]:
    """Returns (slot, first token, token after the last) of each tagged argument."""
    found: list[tuple[str, int, int]] = []
    for place, tag in enumerate(tags):
        if tag.startswith("B-"):
            found.append((tag[2:], place, place + 1))
        elif tag.startswith("I-") and found:
            found[-1] = (found[-1][0], found[-1][1], place + 1)
    return found
