"""Estimates how people word their wishes, for a recogniser of sentences that are not in the grammar.

A trigram model of the sentences that the reader learns from, in the format ARPA.

Names of things are one word for each kind, `PROJECT`, whose pronunciations are those of the names that exist.
Interpolated Witten-Bell smoothing (Witten and Bell, IEEE Transactions on Information Theory 37(4), 1991).
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import dropwhile, takewhile
from pathlib import Path

from agent.understanding.corpus import SLOT_KINDS, Example, read_corpus
from agent.voice.pronunciations import dictionary, number_words
from agent.voice.spoken_grammar import Knows, words_of

ORDER = 3
MIN_COUNT = 2
"""Words that fewer sentences have are left out: most are parts of somebody's script."""
LANGUAGE = "en"
START, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0
Gram = tuple[str, ...]


def class_word(kind: str) -> str:
    """Returns the word that stands for all names of a kind; no word of the dictionary has capitals."""
    return kind.upper()


@cache
def _spoken_word(word: str) -> tuple[str, ...]:
    return tuple(number_words(word)) if word.isdigit() else (word,)


def words_as_pronounced(text: str) -> list[str]:
    """Returns the words of a text as they are spoken: numbers in words."""
    return [part for word in words_of(text) if (plain := word.strip("'")) for part in _spoken_word(plain)]


def words_of_example(example: Example) -> list[str]:
    """Returns the words of a sentence of the corpus, with the word of its kind in the place of each name."""
    words: list[str] = []
    at = 0
    for span in sorted(example.spans, key=lambda one: one.start):
        words += words_as_pronounced(example.text[at : span.start])
        kind = SLOT_KINDS.get(span.slot) if span.value is None else None
        words += [class_word(kind)] if kind else words_as_pronounced(example.text[span.start : span.end])
        at = span.end
    return words + words_as_pronounced(example.text[at:])


def arpa(sentences: Iterable[Sequence[str]], knows: Knows) -> Iterator[str]:
    """Yields the lines of the model of these sentences. Of words that `knows` does not have, or that are too
    rare, none is in it, nor what they stand in.
    """
    found = [list(sentence) for sentence in sentences]
    often = Counter(word for sentence in found for word in sentence)
    known = {word for word, count in often.items() if count >= MIN_COUNT and (word.isupper() or knows(word))}
    counts: list[Counter[Gram]] = [Counter() for _ in range(ORDER)]
    for sentence in found:
        words = [START, *(word if word in known else UNKNOWN for word in sentence), END]
        for size, grams in enumerate(counts, 1):
            grams.update(zip(*(words[at:] for at in range(size)), strict=False))
    counts = [
        Counter({gram: count for gram, count in grams.items() if UNKNOWN not in gram}) for grams in counts
    ]
    # The beginning is never predicted.
    counts[0][START,] = 0
    yield from _lines(counts)


def _lines(counts: Sequence[Counter[Gram]]) -> Iterator[str]:
    likely: dict[Gram, float] = {}
    backoff: dict[Gram, float] = {(): 1.0}
    yield "\\data\\\n"
    yield from (f"ngram {size}={len(grams)}\n" for size, grams in enumerate(counts, 1))
    for size, grams in enumerate(counts, 1):
        total: Counter[Gram] = Counter()
        kinds: Counter[Gram] = Counter()
        for gram, count in grams.items():
            total[gram[:-1]] += count
            kinds[gram[:-1]] += count > 0
        for before in kinds:
            backoff[before] = kinds[before] / (total[before] + kinds[before])
        for gram, count in grams.items():
            before = gram[:-1]
            shorter = likely[gram[1:]] if size > 1 else 1 / (len(grams) - 1)
            likely[gram] = (count + kinds[before] * shorter) / (total[before] + kinds[before])
    for size, grams in enumerate(counts, 1):
        yield f"\n\\{size}-grams:\n"
        for gram in sorted(grams):
            log = NEVER if gram == (START,) else math.log10(likely[gram])
            rest = f"\t{math.log10(backoff[gram]):.4f}" if gram in backoff and size < len(counts) else ""
            yield f"{log:.4f}\t{' '.join(gram)}{rest}\n"
    yield "\n\\end\\\n"


def model_words(model: Path) -> list[str]:
    """Returns the words of an ARPA file, without those for names and the ends of sentences."""
    with model.open(encoding="utf-8") as lines:
        grams = takewhile(
            lambda line: line != "\\2-grams:\n", dropwhile(lambda line: line != "\\1-grams:\n", lines)
        )
        words = [fields[1] for line in grams if len(fields := line.split()) > 1]
    return [word for word in words if word.islower() and not word.startswith("<")]


def main() -> None:
    """Writes the model of the whole corpus to a file: four seconds of processor time."""
    examples = (one for one in read_corpus().examples if one.language == LANGUAGE)
    with Path(sys.argv[1]).open("w", encoding="utf-8") as file:
        file.writelines(arpa(map(words_of_example, examples), dictionary().knows))


if __name__ == "__main__":
    main()
