"""Writes the figures of one run as JSON: `scripts/bench NAME --json FILE`, `-` for standard output.

A file in bench/results/ is the last run of its program. `make docs` puts its figures into docs/figures.md;
each run that goes there adds its lines to bench/history.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS, HISTORY = ROOT / "bench/results", ROOT / "bench/history.jsonl"


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--json FILE` to the options of a program."""
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON, too; - prints them")


def percentile(values: list[float], share: float) -> float:
    """Returns the value below which this share of them lies; NaN of none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


_figures: list[dict[str, Any]] = []
_load_at_start = os.getloadavg()[0]


def add_figure(
    figure: str, value: float, unit: str, *, goal: str | None = None, ratio: float | None = None
) -> None:
    """Adds one figure of this run.

    `goal`: what is wanted, with its comparison, such as `< 150`. `ratio`: to what it is compared with in the
    same run, such as the plain way.
    """
    ratio = None if ratio is None else round(ratio, 2)
    _figures.append({"figure": figure, "value": round(value, 3), "unit": unit, "goal": goal, "ratio": ratio})


def write_figures(area: str, file: str | None) -> None:
    """Writes the figures to `file`, if one is named, and to the history when it lies in bench/results."""
    if file is None:
        return
    run = {
        "area": area,
        "command": " ".join(["scripts/bench", Path(sys.argv[0]).stem, *_arguments()]),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores, load {_load_at_start:.1f}",
        "figures": _figures,
    }
    text = json.dumps(run, indent=1, ensure_ascii=False) + "\n"
    if file == "-":
        sys.stdout.write(text)
        return
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if path.resolve().parent == RESULTS:
        about = {name: run[name] for name in ("date", "commit", "machine", "command")}
        lines = [json.dumps({**figure, **about}, ensure_ascii=False) for figure in _figures]
        with HISTORY.open("a", encoding="utf-8") as history:
            history.write("".join(f"{line}\n" for line in lines))


def _arguments() -> list[str]:
    """Returns the arguments of this run without `--json FILE`."""
    others: list[str] = []
    rest = iter(sys.argv[1:])
    for argument in rest:
        if argument == "--json":
            next(rest, None)
        elif not argument.startswith("--json="):
            others.append(argument)
    return others


def _commit() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"], cwd=ROOT, capture_output=True, text=True
    )
    return described.stdout.strip() or "no commit"
