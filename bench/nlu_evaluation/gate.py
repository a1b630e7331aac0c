"""Compares the score of the reader with the one that `python -m bench.nlu_evaluation.gate` records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from agent.sentences import read_yaml
from agent.understanding import Grammar, decision, doubt
from agent.understanding.reader import Reader
from agent.understanding.trained import load_reader
from bench.nlu_evaluation.__main__ import run
from bench.nlu_evaluation.cases import FOLDER, read_cases
from bench.nlu_evaluation.ways import ReaderWay

RECORDED = FOLDER / "recorded.yaml"
SLACK = {"right": 0.5, "wrong write": 0.3, "forbidden": 1}
"""How much worse a half may be, in percent and in cases: training differs a little between processors."""
CARRIED = ("right", "asked", "wrong read", "wrong write", "forbidden")


def ways(reader: Reader) -> dict[str, Reader]:
    """Returns the reader without and, where the sentence model is installed, with its encoder."""
    found = {doubt.N_GRAMS: replace(reader, encoder=None)}
    return found if reader.encoder is None else found | {doubt.WITH_ENCODER: reader}


def measure(reader: Reader) -> dict[str, dict[str, float]]:
    """Returns the figures of grammar and reader together, by half."""
    way, cases = ReaderWay(reader, Grammar.load()), list(read_cases())
    found = {half: run(way, [case for case in cases if case.half == half]) for half in ("dev", "test")}
    figures = {half: score.figures() for half, score in found.items()}
    figures["dev, not in the corpus"] = found["dev"].figures("not in the corpus")
    return {half: {name: some[name] for name in CARRIED} for half, some in figures.items()}


def problems(
    found: Mapping[str, Mapping[str, float]], recorded: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """Returns what has become worse than recorded."""
    worse = []
    for half, was in recorded.items():
        now = found[half]
        for name in ("forbidden", "wrong write"):
            if now[name] > was[name] + SLACK[name]:
                worse.append(f"{half}: {name} {now[name]}, recorded {was[name]}")
        if now["right"] < was["right"] - SLACK["right"]:
            worse.append(f"{half}: right {now['right']}, recorded {was['right']}")
    return worse


def thresholds() -> dict[str, float]:
    """Returns from which probability on the interpreter acts."""
    return {name: getattr(decision, name) for name in sorted(vars(decision)) if name.startswith("SURE_")}


def read_recorded() -> dict[str, Any]:
    recorded: dict[str, Any] = read_yaml(RECORDED)
    return recorded


def main() -> None:
    reader = load_reader(train=True, encoder=True)
    assert reader is not None
    record = {
        "halves": {name: measure(one) for name, one in ways(reader).items()},
        "sureness": thresholds(),
    }
    head = (
        "# Written by python -m bench.nlu_evaluation.gate; tests/agent/test_understanding_gate.py compares.\n"
    )
    RECORDED.write_text(head + yaml.safe_dump(record, sort_keys=False), encoding="utf-8")
    print(RECORDED.read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    main()
