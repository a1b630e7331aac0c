"""Keeps the record of the long tests: what ran last, when, on which commit, and how it ended.

scripts/lanes.py writes tests/long_runs.json after each room of `make test-long` and `make test-gpu`, one
entry per test file; a run of a few files replaces their entries alone. scripts/docs_generate.py prints it.
"""

from __future__ import annotations

import ast
import json
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RECORD = Path("tests/long_runs.json")
# What the run and `make docs` write is no change of what ran.
_WRITTEN = tuple(
    f":!{path}"
    for path in ("tests/long_runs.json", "tests/cached_results.json", "docs/reference/long-tests.md")
)
_OUTCOMES = ("failed", "skipped", "passed")
_MARKS = {"mark.slow", "mark.gpu", "pytest.mark.slow", "pytest.mark.gpu"}


def record_run(checkout: Path, room: str, report: Path) -> None:
    """Adds what a room's JUnit report says of tests marked `slow` or `gpu`.

    A file whose tests were all skipped keeps the entry that it has.
    """
    try:
        suites = list(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - our own file
    except (FileNotFoundError, ET.ParseError):
        return
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: Counter[str] = Counter()
    for case in (case for suite in suites for case in suite.iter("testcase")):
        if case.find("properties/property[@name='long']") is None:
            continue
        file = _file_of(checkout, case.get("classname", ""))
        counts[file][_outcome(case)] += 1
        seconds[file] += float(case.get("time", 0))
    record = read_record(checkout)
    ran = {"date": datetime.now(UTC).date().isoformat(), "commit": commit_of(checkout)}
    for file, outcomes in counts.items():
        if not outcomes["passed"] and not outcomes["failed"]:
            continue
        record[f"{room}:{file}"] = {
            **ran,
            **{outcome: outcomes[outcome] for outcome in _OUTCOMES},
            "seconds": round(seconds[file], 1),
        }
    if record:
        text = json.dumps(dict(sorted(record.items())), indent=1)
        (checkout / RECORD).write_text(f"{text}\n", encoding="utf-8")


def read_record(checkout: Path) -> dict[str, dict[str, Any]]:
    """Returns the entries by `ROOM:FILE`; none when no long run has been recorded."""
    path = checkout / RECORD
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def long_runs_page(checkout: Path) -> str:
    """Returns the page of the docs: a row per test file that has long tests, recorded or not."""
    record = read_record(checkout)
    lines = [
        "# Long tests",
        "",
        "`make test` leaves these out or runs a short form of them; `make test-long` and `make test-gpu` run",
        "them in full and write `tests/long_runs.json`, from which this page is generated. Tests of networks",
        "and of whole farms run when what they depend on has changed: `tests/cached_results.json` has their",
        "last runs, and `make test` prints those that it left out. Some files alone:",
        "",
        "<!-- needs: minutes -->",
        "```console",
        '$ scripts/test --long --only "pxe:test_power_on.py ansible:test_rotation.py"',
        "```",
        "",
        "| tests | what they prove | last result | minutes | date | commit |",
        "|---|---|---|---|---|---|",
    ]
    for file, purpose in _long_files(checkout):
        entries = {key: entry for key, entry in record.items() if key.partition(":")[2] == file}
        for key, entry in entries.items():
            result = ", ".join(f"{entry[one]} {one}" for one in reversed(_OUTCOMES) if entry[one])
            room = f" ({key.partition(':')[0]})" if len(entries) > 1 else ""
            figures = f"{entry['seconds'] / 60:.1f} | {entry['date']} | {entry['commit']}"
            lines.append(f"| `{file}`{room} | {purpose} | {result} | {figures} |")
        if not entries:
            lines.append(f"| `{file}` | {purpose} | not recorded | | | |")
    return "\n".join(lines) + "\n"


def _long_files(checkout: Path) -> Iterator[tuple[str, str]]:
    """Yields each test file that uses one of the marks, with the first sentence of its docstring.

    A file that writes tests for others names the marks in texts alone: it has no long test of its own.
    """
    for path in sorted((checkout / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.slow" not in text and "mark.gpu" not in text:
            continue
        module = ast.parse(text)
        if not any(
            isinstance(node, ast.Attribute) and ast.unparse(node) in _MARKS for node in ast.walk(module)
        ):
            continue
        docstring = " ".join((ast.get_docstring(module) or "").split("\n\n")[0].split())
        yield str(path.relative_to(checkout / "tests")), docstring.replace("|", "/").rstrip(".")


def _file_of(checkout: Path, classname: str) -> str:
    """Returns the path below tests/ of `tests.room.test_file.TestClass`."""
    parts = classname.split(".")
    for length in range(len(parts), 0, -1):
        path = Path(*parts[:length]).with_suffix(".py")
        if (checkout / path).is_file():
            return str(path.relative_to("tests"))
    return classname


def _outcome(case: ET.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


def commit_of(checkout: Path) -> str:
    """Returns the commit, with `+` when files differ from it; nothing where there is no git."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=checkout, capture_output=True, text=True, check=False)

    try:
        commit = git("rev-parse", "--short=10", "HEAD").stdout.strip()
    except FileNotFoundError:
        return ""
    differs = git("diff", "--quiet", "HEAD", "--", ".", *_WRITTEN).returncode
    return f"{commit}+" if commit and differs else commit
