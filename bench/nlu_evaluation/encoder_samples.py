"""Writes what the encoder learns from: `python -m bench.nlu_evaluation.encoder_samples FILE.npz`.

The sentences of the corpus as word pieces, with their names recognised in several ways, some with a
courtesy or a reason around them (`variations.yaml`), some dictated or typed in a hurry.
`scripts/train_encoder` calls it, since PyTorch is in another environment.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.memory.sentence_model import WordPieces, load_published
from agent.understanding.corpus import Example, read_corpus
from agent.understanding.encoder_input import MARKS, encoder_input
from agent.understanding.sentence import Sentence
from agent.understanding.tagger import OUTSIDE
from agent.understanding.training import tags_of, training_sentence
from bench.nlu_evaluation.variations import vary

VIEWS = 8
"""Forms of each sentence: the first is the sentence itself, with all its names recognised."""
SEED = 3
LOWER, MISTYPED = 0.3, 0.3
"""Shares of the sentences that have no capitals, or a typing error."""
SHORTEST = 5
"""Letters of a word that is mistyped."""
NO_TAG = -100
"""Of pieces that begin no token, and of sentences that ask for nothing."""

Row = tuple[Sequence[int], Sequence[int], Sequence[int]]


def row_of(
    example: Example, chance: random.Random | None, tags: Sequence[str], vocabulary: WordPieces
) -> Row:
    """Returns the pieces of a sentence, their marks, and the number of the tag of each."""
    if chance is not None:
        example = vary(example, chance)
    sentence = training_sentence(example, chance)
    if chance is not None:
        sentence = type_hastily(sentence, chance)
    found = encoder_input(sentence, vocabulary)
    tagged = [NO_TAG] * len(found.pieces)
    if not example.intent.startswith(("act.nothing", "plan.")):
        for first, tag in zip(found.first, tags_of(example, sentence), strict=True):
            # A name of several words is one piece: the tag of its first word counts.
            if first >= 0 and tagged[first] == NO_TAG and tag in tags:
                tagged[first] = tags.index(tag)
    return found.pieces, found.marks, tagged


def type_hastily(sentence: Sentence, chance: random.Random) -> Sentence:
    """Returns some sentences without capitals, and some with one typing error outside of names."""
    tokens = sentence.tokens
    if chance.random() < LOWER:
        tokens = tuple(replace(one, text=one.text.lower()) for one in tokens)
    words = [sentence.word(place) for place in range(len(tokens))]
    long = [
        place
        for place, word in enumerate(words)
        if len(word) >= SHORTEST and word.isalpha() and not sentence.kinds_at(place)
    ]
    if long and chance.random() < MISTYPED:
        place = chance.choice(long)
        words[place] = misspell(words[place], chance)
    return replace(sentence, tokens=tokens, spelt=tuple(words))


def misspell(word: str, chance: random.Random) -> str:
    """Returns the word with two letters exchanged, one left out or one doubled."""
    at = chance.randrange(1, len(word) - 1)
    here, next_ = word[at], word[at + 1]
    return word[:at] + chance.choice((next_ + here, next_, here + here + next_)) + word[at + 2 :]


def rows_of(
    examples: Sequence[Example], intents: Sequence[str], tags: Sequence[str], vocabulary: WordPieces
) -> Iterator[tuple[Row, int, int]]:
    """Yields the row of each view of each sentence, its intent and the number of the view."""
    for view in range(VIEWS):
        chance = random.Random(SEED + view) if view else None  # noqa: S311
        for example in examples:
            yield row_of(example, chance, tags, vocabulary), intents.index(example.intent), view


def arrays(examples: Sequence[Example], vocabulary: WordPieces) -> dict[str, NDArray[Any]]:
    """Returns the samples as flat arrays: row `n` is from `starts[n]` to `starts[n + 1]`."""
    intents = sorted({one.intent for one in examples})
    slots = sorted({span.slot for one in examples for span in one.spans})
    tags = [OUTSIDE, *(f"{begin}-{slot}" for slot in slots for begin in "BI")]
    allowed = np.zeros((len(intents), len(tags)), np.bool_)
    allowed[:, 0] = True
    for example in examples:
        for span in example.spans:
            for begin in "BI":
                allowed[intents.index(example.intent), tags.index(f"{begin}-{span.slot}")] = True
    rows = list(rows_of(examples, intents, tags, vocabulary))
    lengths = [len(pieces) for (pieces, _, _), _, _ in rows]
    return {
        "words": np.frombuffer(
            json.dumps({"marks": MARKS, "intents": intents, "tags": tags}).encode(), np.uint8
        ),
        "allowed": allowed,
        "starts": np.cumsum([0, *lengths]),
        "pieces": np.concatenate([np.array(row[0], np.int32) for row, _, _ in rows]),
        "marks": np.concatenate([np.array(row[1], np.int8) for row, _, _ in rows]),
        "tags": np.concatenate([np.array(row[2], np.int16) for row, _, _ in rows]),
        "intents": np.array([intent for _, intent, _ in rows], np.int16),
        "views": np.array([view for _, _, view in rows], np.int8),
    }


def main() -> None:
    examples = [one for one in read_corpus().examples if one.text.strip()]
    vocabulary, _ = load_published()
    samples: dict[str, Any] = arrays(examples, vocabulary)
    np.savez(Path(sys.argv[1]), **samples)
    print(f"{len(examples)} sentences")


if __name__ == "__main__":
    main()
