"""Prints processor time and memory of understanding a sentence, over the cases of bench/nlu_evaluation.

The goals: 95 of 100 sentences within 25 ms of processor time, and at most 150 MB more in the process.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from agent.understanding import Grammar
from agent.understanding.trained import INSTALLED, cache_path, load_reader
from bench.nlu_evaluation.cases import read_cases
from bench.nlu_evaluation.ways import ReaderWay
from bench.results import add_figure, add_json_option, percentile, write_figures

PAGE_BYTES = 4096


def memory_mb() -> float:
    """Returns the memory of this process that is resident, mapped files included, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_json_option(parser)
    options = parser.parse_args()
    grammar = Grammar.load()
    grammar.read_all()
    before, started = memory_mb(), time.process_time()
    # As by default: with the sentence model, where it is installed.
    reader = load_reader(encoder=True)
    load_s = time.process_time() - started
    if reader is None:
        print("The reader is not trained; run .venv/bin/python -m agent.understanding.trained.")
        return 1
    way = ReaderWay(reader, grammar)
    taken: list[float] = []
    for case in read_cases():
        way.begin()
        taken += [way.answer(turn.say).seconds * 1000 for turn in case.turns]
    file = INSTALLED if INSTALLED.exists() else cache_path()
    add_figure(
        "understanding one sentence, 95th percentile, processor time",
        percentile(taken, 0.95),
        "ms",
        goal="< 25",
    )
    add_figure("memory of the reader after all cases", memory_mb() - before, "MB", goal="< 150")
    print(
        f"sentences {len(taken)}: p50 {percentile(taken, 0.5):.1f} ms, p95 {percentile(taken, 0.95):.1f} ms"
    )
    print(
        f"memory {memory_mb() - before:.0f} MB, load {load_s:.2f} s, file {file.stat().st_size / 1e6:.1f} MB"
    )
    write_figures("conversation", options.json)
    return 1 if percentile(taken, 0.95) > 25 or memory_mb() - before > 150 else 0


if __name__ == "__main__":
    sys.exit(main())
