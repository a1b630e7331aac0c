"""Writes docs/figures.md from the results that `scripts/bench NAME --json bench/results/NAME.json` leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

AREAS = {
    "avatar": "[Rendering](figures/rendering.md)",
    "conversation": "[Conversations](figures/conversations.md)",
    "farm": "[Farm](figures/farm.md)",
    "machines": "[Machines](figures/machines.md)",
    "boot": "[Machines](figures/machines.md)",
}
MAX_ROWS = 46
HEAD = """\
# Figures

Each row is the last run of a program that anyone can repeat. Machines differ and are shared, so a ratio
within one run, or processor time, says more than a time on the clock: the load at the start stands beside it.
*ratio* compares with what the row names after the semicolon. Earlier runs are in `bench/history.jsonl`.

What limits each figure: [rendering](figures/rendering.md), [conversations](figures/conversations.md),
[farm](figures/farm.md), [machines](figures/machines.md). On a card: [Checks on a GPU](gpu-checks.md).
Results of the long tests: [Long tests](reference/long-tests.md).

| area | figure | last | goal | ratio | machine | date, commit | command |
|---|---|---|---|---|---|---|---|
"""


def figures_page(root: Path) -> str:
    """Returns the page. Raises ValueError for more rows than a reader takes in, or an unknown area."""
    runs = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(root.glob("bench/results/*.json"))
    ]
    rows = [
        _row(run, figure)
        for area in AREAS
        for run in runs
        if run["area"] == area
        for figure in run["figures"]
    ]
    if unknown := {run["area"] for run in runs} - set(AREAS):
        raise ValueError(f"bench/results names unknown areas: {', '.join(sorted(unknown))}")
    if len(rows) > MAX_ROWS:
        raise ValueError(f"docs/figures.md has {len(rows)} rows; leave out figures that nobody compares")
    return HEAD + "".join(rows)


def _row(run: dict[str, Any], figure: dict[str, Any]) -> str:
    goal = figure["goal"] or ""
    ratio = "" if figure["ratio"] is None else f"{figure['ratio']:g}"
    value = f"{figure['value']:g} {figure['unit']}".strip()
    cells = (
        AREAS[run["area"]],
        figure["figure"],
        value,
        goal,
        ratio,
        run["machine"],
        f"{run['date']}, {run['commit']}",
        f"`{run['command']}`",
    )
    return f"| {' | '.join(cells)} |\n"
