"""The page of figures says what the programs of bench/ have written, and no more than a reader takes in."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

from figures_page import MAX_ROWS, figures_page

ROOT = Path(__file__).parents[2]
RUN = {
    "area": "farm",
    "command": "scripts/bench simulate",
    "date": "2026-01-02",
    "commit": "abc1234",
    "machine": "2 cores, load 0.5",
    "figures": [{"figure": "placements", "value": 1200.0, "unit": "/s", "goal": "> 1000", "ratio": None}],
}


def results(folder: Path, **changed: object) -> Path:
    (folder / "bench/results").mkdir(parents=True)
    (folder / "bench/results/simulate.json").write_text(json.dumps({**RUN, **changed}))
    return folder


def test_a_run_is_a_row_with_its_conditions(tmp_path: Path) -> None:
    row = figures_page(results(tmp_path)).splitlines()[-1]
    assert [cell.strip() for cell in row.strip("|").split("|")][1:] == [
        *("placements", "1200 /s", "> 1000", ""),
        *("2 cores, load 0.5", "2026-01-02, abc1234", "`scripts/bench simulate`"),
    ]


def test_too_many_rows_and_unknown_areas_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rows"):
        figures_page(results(tmp_path / "many", figures=RUN["figures"] * (MAX_ROWS + 1)))  # type: ignore[operator]
    with pytest.raises(ValueError, match="weather"):
        figures_page(results(tmp_path / "unknown", area="weather"))


def test_every_command_on_the_page_names_a_program_that_is_there() -> None:
    for path in (ROOT / "bench/results").glob("*.json"):
        command = json.loads(path.read_text())["command"]
        named = re.match(r"scripts/bench (\w+)", command)
        assert named and (ROOT / f"bench/{named[1]}.py").is_file(), command


def test_a_program_writes_its_figures_and_a_run_in_results_goes_into_the_history(tmp_path: Path) -> None:
    # A copy: the history of the project stays as it is.
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/results.py").write_text((ROOT / "bench/results.py").read_text())
    (tmp_path / "bench/program.py").write_text(
        "import argparse\n"
        "from bench.results import add_figure, add_json_option, write_figures\n"
        "parser = argparse.ArgumentParser()\n"
        "add_json_option(parser)\n"
        "add_figure('speed', 2.5, 'x', goal='> 2', ratio=1.2345)\n"
        "write_figures('farm', parser.parse_args().json)\n"
    )
    for target in ("elsewhere.json", "bench/results/program.json"):
        subprocess.run(
            [sys.executable, "bench/program.py", "--json", target],
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
            check=True,
        )
    run = json.loads((tmp_path / "bench/results/program.json").read_text())
    (line,) = (tmp_path / "bench/history.jsonl").read_text().splitlines()
    assert run["command"] == "scripts/bench program"
    assert run["figures"] == [{"figure": "speed", "value": 2.5, "unit": "x", "goal": "> 2", "ratio": 1.23}]
    assert json.loads(line)["figure"] == "speed" and json.loads(line)["commit"] == run["commit"]
