"""Fits the confidence of the command recogniser, and prints how well it tells commands from other sentences.

Commands of the grammar and the sentences of `voice_calibration.txt` are spoken by synthetic voices, clean and
in noise; each voice in each noise is a session. The first two voices are fitted, and the bias is such that at
most 1 % of their other sentences are accepted; the table has all. The weights go to `WEIGHTS` of
`agent/voice/recogniser.py`. Sentences and draws are none of those of `bench/voice.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

from spoken_words import silence, speech, with_noise

from agent.understanding.grammar import load_templates
from agent.voice.pronunciations import dictionary
from agent.voice.recogniser import CommandRecogniser
from agent.voice.spoken_grammar import build_grammar
from agent.voice.worker.service import templates_of_speech
from agent.voice.worker.sureness import CHANGING, READING
from bench.voice import CHUNK, CLEAN, NAMES, NOISE_DB, VOICES, commands, same_words

OUTSIDE = Path(__file__).with_name("voice_calibration.txt")
NOISES = (CLEAN, "white", "pink")
FITTED = VOICES[:2]
SEED = 11
RIDGE = 0.02
"""Keeps the weights finite where the two kinds do not overlap."""
MARGIN = 0.01
"""Log-odds between the most likely of the other sentences and what is accepted."""
MEASURES = ("mean", "worst", "silence")
Row = dict[str, Any]


def speak(pairs: int) -> Iterator[Row]:
    """Yields what was recognised of `pairs` commands and as many other sentences."""
    grammar = build_grammar(load_templates(), templates_of_speech(), NAMES, dictionary().knows)
    recogniser = CommandRecogniser()
    recogniser.load(grammar)
    chance = random.Random(SEED)  # noqa: S311
    inside, outside = commands(grammar, pairs, SEED), OUTSIDE.read_text(encoding="utf-8").splitlines()
    chance.shuffle(inside)
    chance.shuffle(outside)
    sessions = list(product(VOICES, NOISES))
    for at, (voice, noise) in enumerate(sessions):
        mean = ""
        for number in range(at, pairs, len(sessions)):
            for kind, text in (("inside", inside[number]), ("outside", outside[number % len(outside)])):
                sound = silence(0.3) + speech(text, voice) + silence(0.3)
                if noise != CLEAN:
                    sound = with_noise(sound, NOISE_DB, noise, chance)
                recogniser.begin(mean)
                for start in range(0, len(sound), CHUNK):
                    recogniser.hear(sound[start : start + CHUNK])
                result = recogniser.end()
                mean = recogniser.cepstral_mean
                row: Row = {"kind": kind, "voice": voice, "noise": noise, "text": text, "found": result.text}
                if result.measures is not None:
                    row |= {name: getattr(result.measures, name) for name in MEASURES}
                yield row | {"confidence": result.confidence}


def fit(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Returns bias and weights of a logistic regression, by Newton's method; wrong commands are outside. The
    bias is lowered until at most 1 % of the other sentences are accepted.
    """
    measured = [row for row in rows if "mean" in row]
    inputs = np.array([_inputs(row) for row in measured])
    targets = np.array([float(row["kind"] == "inside" and is_right(row)) for row in measured])
    weights = np.zeros(1 + len(MEASURES))
    for _ in range(50):
        likely = 1 / (1 + np.exp(-inputs @ weights))
        gradient = inputs.T @ (targets - likely) - RIDGE * weights
        hessian = (inputs.T * (likely * (1 - likely))) @ inputs + RIDGE * np.eye(len(weights))
        weights = weights + np.linalg.solve(hessian, gradient)
    limit = np.log(READING / (1 - READING))
    outside = sorted((weights @ _inputs(row) for row in measured if row["kind"] == "outside"), reverse=True)
    allowed = sum(row["kind"] == "outside" for row in rows) // 100
    weights[0] -= max(0.0, outside[allowed] - limit + MARGIN)
    return weights


def is_right(row: Row) -> bool:
    """Returns whether the words are those that were spoken."""
    return same_words(row["text"], row["found"])


def _inputs(row: Row) -> list[float]:
    return [1.0, *(max(-50.0, row[name]) for name in MEASURES)]


def confidence(row: Row, weights: NDArray[np.float64]) -> float:
    """Returns the confidence of a row by these weights."""
    if "mean" not in row:
        return 0.0
    return float(1 / (1 + np.exp(-(weights @ _inputs(row)))))


def table(rows: Sequence[Row], weights: NDArray[np.float64]) -> list[str]:
    """Returns lines of a table in Markdown: by voice and by noise, what would be done."""
    lines = [
        "| of | commands | words right | accepted, reading | accepted, changing | wrong and accepted "
        "| other sentences | accepted, reading | accepted, changing |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for key, values in (("voice", VOICES), ("noise", NOISES), ("", ("all",))):
        for value in values:
            some = [row for row in rows if not key or row[key] == value]
            inside = [row for row in some if row["kind"] == "inside"]
            right = [row for row in inside if is_right(row)]
            wrong = [row for row in inside if not is_right(row)]
            outside = [row for row in some if row["kind"] == "outside"]
            cells = [
                len(inside),
                len(right),
                *(_count(right, weights, limit) for limit in (READING, CHANGING)),
            ]
            cells += [_count(wrong, weights, READING), len(outside)]
            cells += [_count(outside, weights, limit) for limit in (READING, CHANGING)]
            lines.append(f"| {value} | {' | '.join(map(str, cells))} |")
    return lines


def _count(rows: Sequence[Row], weights: NDArray[np.float64], limit: float) -> int:
    return sum(confidence(row, weights) >= limit for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=306, help="commands, and other sentences (default 306)")
    parser.add_argument("--rows", metavar="FILE", help="keep what was recognised there, as JSON lines")
    options = parser.parse_args()
    rows = []
    for row in speak(options.pairs):
        rows.append(row)
        if options.rows:
            with Path(options.rows).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    weights = fit([row for row in rows if row["voice"] in FITTED])
    print(f"WEIGHTS = ({', '.join(f'{weight:.2f}' for weight in weights)})")
    print("\n".join(table(rows, weights)))
    print(f"load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
