"""Counts how often the reader finds the intent of sentences that it has not learned from.

`python -m agent.evaluation.unseen`: the sentences of `unseen/` are marked like those of the corpus, by people
who saw neither the corpus nor the cases, and who were asked for unusual ways to say things. What a sentence
names exists in its state of the system.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from random import Random

import yaml

from agent.evaluation.cases import FOLDER, read_world
from agent.evaluation.doubts import world_of
from agent.sentences import LOADER
from agent.understanding.corpus import Example, parse_example
from agent.understanding.reader import Reader
from agent.understanding.trained import load_reader


def unseen() -> Iterator[Example]:
    """Yields the sentences of both languages."""
    for path in sorted((FOLDER / "unseen").glob("*.yaml")):
        found = yaml.load(path.read_text(encoding="utf-8"), LOADER)  # noqa: S506
        for intent, sentences in found.items():
            yield from (parse_example(intent, path.stem, one) for one in sentences)


def confusions(reader: Reader, examples: Sequence[Example]) -> Counter[tuple[str, str, str]]:
    """Returns how often an intent was read, by (language, intent, intent read)."""
    others, chance = list(read_world().things), Random(3)  # noqa: S311
    found: Counter[tuple[str, str, str]] = Counter()
    for example in examples:
        probabilities = reader.probabilities(example.text, world_of(example, others, chance, reader))
        best = reader.classifier.labels[int(probabilities.argmax())]
        found[example.language, example.intent, best] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m agent.evaluation.unseen", description=__doc__)
    parser.add_argument("--count", type=int, default=3000, help="how many sentences, drawn by chance")
    options = parser.parse_args()
    reader = load_reader(train=True)
    assert reader is not None  # noqa: S101
    examples = list(unseen())
    some = Random(1).sample(examples, min(options.count, len(examples)))  # noqa: S311
    found = confusions(reader, some)
    right: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for (language, intent, best), count in found.items():
        right[language][0] += count if intent == best else 0
        right[language][1] += count
    for language, (well, total) in sorted(right.items()):
        print(f"{language}: {100 * well / total:.1f} % of {total} intents")
    wrong = Counter({key: count for key, count in found.items() if key[1] != key[2]})
    for (language, intent, best), count in wrong.most_common(25):
        print(f"{count:5}  {language}  {intent} read as {best}")


if __name__ == "__main__":
    main()
