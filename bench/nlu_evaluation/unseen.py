"""Counts what the interpreter makes of sentences that the reader has not learned from.

`python -m bench.nlu_evaluation.unseen`: the sentences of `unseen/` are marked like those of the corpus, by
people who saw neither the corpus nor the cases, and who were asked for unusual ways to say things. What a
sentence names exists in its state of the system.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence
from random import Random

from agent.understanding.corpus import Example, lexicon_of, read_corpus
from agent.understanding.dialogue import Dialogue
from agent.understanding.intents import change_anything
from agent.understanding.interpreter import Interpreter
from agent.understanding.reader import Reader
from agent.understanding.trained import load_reader
from bench.nlu_evaluation.cases import NOW, read_world
from bench.nlu_evaluation.doubts import is_right, world_of
from bench.nlu_evaluation.unseen_sentences import unseen


def confusions(reader: Reader, examples: Sequence[Example]) -> Counter[tuple[str, str, str]]:
    """Returns how often an intent was read, by (language, intent, intent read)."""
    others, chance = list(read_world().things), Random(3)  # noqa: S311
    found: Counter[tuple[str, str, str]] = Counter()
    for example in examples:
        probabilities = reader.probabilities(example.text, world_of(example, others, chance, reader))
        best = reader.classifier.labels[int(probabilities.argmax())]
        found[example.language, example.intent, best] += 1
    return found


def outcomes(reader: Reader, examples: Sequence[Example]) -> Counter[tuple[str, str]]:
    """Returns how often what came of the sentences that ask for one call, by (language, outcome).

    Outcomes: `right`, `wrong read`, `wrong write`, or the kind of the decision, such as `ask`.
    """
    interpreter, lexicon = Interpreter(reader), lexicon_of(read_corpus().examples)
    others, chance = list(read_world().things), Random(3)  # noqa: S311
    found: Counter[tuple[str, str]] = Counter()
    for example in examples:
        if not example.text.strip() or example.intent.startswith(("act.", "plan.")):
            continue
        world = world_of(example, others, chance, reader)
        decision = interpreter.interpret(example.text, world, Dialogue(), NOW)
        outcome: str = decision.kind
        if decision.kind == "calls":
            calls = decision.calls
            right = len(calls) == 1 and is_right(calls[0], example, world, reader, lexicon)
            outcome = "right" if right else "wrong write" if change_anything(calls) else "wrong read"
        found[example.language, outcome] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.nlu_evaluation.unseen", description=__doc__)
    parser.add_argument("--count", type=int, default=3000, help="how many sentences, drawn by chance")
    parser.add_argument("--encoder", action="store_true", help="read with the encoder, too")
    options = parser.parse_args()
    reader = load_reader(train=True, encoder=options.encoder)
    assert reader is not None
    examples = list(unseen())
    some = Random(1).sample(examples, min(options.count, len(examples)))  # noqa: S311
    found = confusions(reader, some)
    right: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for (language, intent, best), count in found.items():
        right[language][0] += count if intent == best else 0
        right[language][1] += count
    for language, (well, total) in sorted(right.items()):
        print(f"{language}: {100 * well / total:.1f} % of {total} intents")
    for (language, outcome), count in sorted(outcomes(reader, some).items(), key=lambda one: -one[1]):
        print(f"{count:5}  {language}  {outcome}")
    wrong = Counter({key: count for key, count in found.items() if key[1] != key[2]})
    for (language, intent, best), count in wrong.most_common(25):
        print(f"{count:5}  {language}  {intent} read as {best}")


if __name__ == "__main__":
    main()
