"""Checks what a change can reach, in two minutes on two cores: `make quick`.

Format, lint, types, import rules and those tests that a changed file can reach (scripts/reach.py) and that
start no process. What is changed is what differs from the merge base with main, what is not committed, and
what git does not know yet. A check and a test file that passed with the same contents before do not run again
(.quick/passed.json); of files whose functions a test file has not run (.quick/calls.json), only what takes
effect at import is compared (scripts/units.py).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from reach import CONTROL, Reach
from rooms import ROOMS, TORCH, Room
from units import Calls, UnitKeys

ROOT = Path.cwd()
STATE = ROOT / ".quick"
MARKS = "not process and not slow and not gpu and not torch"
NO_TESTS = 5
# Folders of bench/ that are as strictly typed as the product.
TYPED_MEASUREMENTS = ("bench/nlu_evaluation",)
# So many files of a room are worth two workers, which each import the room.
MANY_FILES = 6
WORKERS = 2


@dataclass
class Passed:
    """Keeps what passed, by name, with the hash of what it depends on."""

    known: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Passed:
        try:
            return cls(json.loads((STATE / "passed.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return cls()

    def write(self) -> None:
        STATE.mkdir(exist_ok=True)
        (STATE / "passed.json").write_text(json.dumps(self.known, indent=0, sort_keys=True), encoding="utf-8")


@dataclass
class Keys:
    """Computes the hash of all that decides about a test file, as far as we know it.

    `calls`: the functions that each test file ran when it ran last, by file.
    """

    reach: Reach
    changed: set[str]
    calls: dict[str, Calls] = field(default_factory=dict)

    @classmethod
    def read(cls, reach: Reach, changed: set[str]) -> Keys:
        try:
            return cls(reach, changed, json.loads((STATE / "calls.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return cls(reach, changed)

    def of(self, tests: Iterable[str]) -> dict[str, str]:
        units = UnitKeys(self.reach)
        keys = {test: self._key_of(test, units) for test in tests}
        units.write_cache()
        return keys

    def add(self, calls: dict[str, Calls]) -> None:
        self.calls |= calls
        STATE.mkdir(exist_ok=True)
        (STATE / "calls.json").write_text(json.dumps(self.calls), encoding="utf-8")

    def _key_of(self, test: str, units: UnitKeys) -> str:
        others = {file for file in self.changed if file not in self.reach.edges}
        read = self.changed if self.reach.reads_checkout(test) else set()
        locks = {"uv.lock", "avatar/uv.lock", "farm/device_plugin/uv.lock", "pyproject.toml"}
        if test not in self.calls:
            return _hash(self.reach.depends_on(test) | others | read | locks)
        return f"{units.key_of(test, self.calls[test])} {_hash(others | read | locks)}"


@dataclass
class RoomRun:
    """Holds the chosen files of a room, and their result."""

    room: Room
    files: list[str]
    code: int = 0
    output: str = ""
    seconds: float = 0.0
    failed_files: set[str] = field(default_factory=set)
    calls: dict[str, Calls] = field(default_factory=dict)
    left_out: int = 0

    @property
    def passed(self) -> bool:
        return self.code in (0, NO_TESTS)


def find_changes(base: str) -> set[str] | None:
    """Returns the names of all files that differ from the base; None where there is no git."""

    def git(*words: str) -> list[str] | None:
        try:
            done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return None
        return done.stdout.split("\0") if done.returncode == 0 else None

    if git("rev-parse", "--verify", "HEAD") is None:
        return None
    since = "HEAD"
    for name in (base,) if base else ("main", "origin/main"):
        found = git("merge-base", "HEAD", name)
        if found is not None:
            since = found[0].strip()
            break
    differing = git("diff", "--name-only", "--no-renames", "-z", since) or []
    unknown = git("ls-files", "--others", "--exclude-standard", "-z") or []
    return {name for name in (*differing, *unknown) if name}


def checks(reach: Reach) -> list[tuple[str, list[str], Iterable[str]]]:
    """Returns each check with its command and the files that decide about it."""
    python = sorted(reach.edges)
    control = [file for file in python if file.split("/")[0] in CONTROL]
    worker = [file for file in python if file.startswith("avatar/src/")]
    plugin = [file for file in python if file.startswith("farm/device_plugin/")]
    every = ["pyproject.toml", "uv.lock"]
    there = [room for room in CONTROL if (ROOT / room / "__init__.py").exists()]
    typed = [folder for folder in TYPED_MEASUREMENTS if (ROOT / folder).is_dir()]
    measured = [file for file in python if file.startswith(TYPED_MEASUREMENTS)]
    configured = ["--config-file", "avatar/pyproject.toml"]
    plugin_config = ["--config-file", "farm/device_plugin/pyproject.toml"]
    return [
        ("format", [".venv/bin/ruff", "format", "--check", "--quiet", "."], []),
        ("lint", [".venv/bin/ruff", "check", "--quiet", "."], []),
        ("imports", [".venv/bin/lint-imports"], control + worker + every),
        ("types (control)", [".venv/bin/mypy", *there, *typed], control + worker + measured + every),
        (
            "types (worker)",
            ["avatar/.venv/bin/mypy", *configured, "avatar/src/avatar"],
            [*worker, "avatar/pyproject.toml", "avatar/uv.lock"],
        ),
        (
            "types (plugin)",
            ["farm/device_plugin/.venv/bin/mypy", *plugin_config, "farm/device_plugin/src"],
            [*plugin, "farm/device_plugin/pyproject.toml", "farm/device_plugin/uv.lock"],
        ),
    ]


def run_checks(reach: Reach, passed: Passed) -> bool:
    """Prints a line per check; what passed with the same contents before is not run.

    The checks of types write one cache, so they run one after the other, beside the other checks.
    """
    keys = {name: _hash(files) if files else "" for name, _, files in checks(reach)}
    due = [(name, command) for name, command, _ in checks(reach) if passed.known.get(name) != keys[name]]
    types = [check for check in due if check[0].startswith("types")]

    def run(chosen: list[tuple[str, list[str]]]) -> bool:
        results = [_run_check(name, command, keys[name], passed) for name, command in chosen]
        return all(results)

    with ThreadPoolExecutor(WORKERS) as pool:
        well = all(list(pool.map(run, (types, [check for check in due if check not in types]))))
    passed.write()
    return well


def _run_check(name: str, command: list[str], key: str, passed: Passed) -> bool:
    begun = time.monotonic()
    done = _run(command, {"MYPYPATH": "avatar/src"})
    word = "ok  " if done.returncode == 0 else "FAIL"
    line = f"  {word}  {name:16} {time.monotonic() - begun:5.1f} s"
    print(line if done.returncode == 0 else f"{line}\n{done.stdout}{done.stderr}", flush=True)
    if done.returncode == 0 and key:
        passed.known[name] = key
    return done.returncode == 0


def run_rooms(runs: list[RoomRun], folder: Path) -> None:
    """Runs rooms of many files with two workers, one after the other; then the small ones, two at once."""
    many = [run for run in runs if len(run.files) >= MANY_FILES]
    few = [run for run in runs if len(run.files) < MANY_FILES]
    for run in many:
        run_room(run, folder, WORKERS)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda run: run_room(run, folder, 1), few))


def run_room(run: RoomRun, folder: Path, workers: int) -> None:
    report = folder / f"{run.room.name}.xml"
    command = [run.room.pytest, "-q", "--tb=short", "-m", MARKS, f"--junitxml={report}"]
    command += ["-o", f"cache_dir={STATE / 'pytest' / run.room.name}", *run.files]
    if workers > 1:
        command += ["-n", str(workers), "--dist", "loadfile"]
    begun = time.monotonic()
    calls = folder / f"{run.room.name}.calls"
    guard = {"TEST_PROCESS_GUARD": "1", "TEST_FUNCTION_CALLS": str(calls)}
    done = _run(command, {**dict(run.room.environment), **guard})
    for report_of_process in folder.glob(f"{calls.name}.*"):
        run.calls |= json.loads(report_of_process.read_text(encoding="utf-8"))
    run.seconds, run.code, run.output = time.monotonic() - begun, done.returncode, done.stdout + done.stderr
    found = re.search(r"(\d+) deselected", run.output)
    run.left_out = int(found[1]) if found else 0
    run.failed_files = set(run.files)
    if done.returncode in (0, 1, NO_TESTS) and report.exists():
        run.left_out += _read_report(run, report)
    word = "ok  " if run.passed else "FAIL"
    lines = [line for line in run.output.splitlines() if line.strip()]
    print(
        f"  {word}  {run.room.name:16} {run.seconds:5.1f} s  {lines[-1].strip('= ') if lines else ''}",
        flush=True,
    )
    if not run.passed:
        print(run.output, flush=True)


def _read_report(run: RoomRun, report: Path) -> int:
    """Notes the files in which something failed; returns how many tests were refused a process."""
    failed, refused = set(), 0
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - our own file
        skipped = case.find("skipped")
        refused += skipped is not None and "starts a process" in (skipped.get("message") or "")
        if case.find("failure") is not None or case.find("error") is not None:
            name = f"{case.get('classname')}.{case.get('name')}"
            prefixes = {file: file[:-3].replace("/", ".") + "." for file in run.files}
            failed |= {file for file in run.files if name.startswith(prefixes[file])} or set(run.files)
    run.failed_files = failed
    return refused


def runs_of(tests: Iterable[str], changed: set[str]) -> list[RoomRun]:
    """Returns the chosen files by room: those in which something changed first, then those of most files."""
    own = {part for file in changed for part in file.split("/")[:2]}
    runs = []
    for room in ROOMS:
        files = sorted(test for test in tests if room.has(test))
        if files and room.pytest != TORCH:
            runs.append(RoomRun(room, files))
    return sorted(runs, key=lambda run: (run.room.name not in own, -len(run.files)))


def close(runs: list[RoomRun], *, well: bool, seconds: float) -> None:
    """Says what was left out, and how to run it."""
    rooms = [run.room.name for run in runs]
    left_out = sum(run.left_out for run in runs)
    if left_out:
        print(f"\nLeft out: {left_out} tests that start processes, are slow or need a card or PyTorch.")
        print(f'They run with: scripts/test --only "{" ".join(rooms)}"')
    missing = [room.name for room in ROOMS if room.folder and room.name not in rooms and room.pytest != TORCH]
    if missing:
        print(f"Not reached: {' '.join(missing)}. Everything runs with: make test")
    print(f"\n{'passed' if well else 'FAILED'} in {seconds:.0f} s")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make quick", description="Check what a change can reach.")
    parser.add_argument("--base", default="", help="what the change begins at (the merge base with main)")
    parser.add_argument("--list", action="store_true", help="only print the test files that would run")
    chosen = parser.parse_args(arguments)
    begun = time.monotonic()
    reach, passed = Reach(ROOT), Passed.read()
    changed = find_changes(chosen.base)
    tests = set(reach.tests) if changed is None else reach.tests_for(changed)
    keys = Keys.read(reach, changed or set())
    tests = {test for test, key in keys.of(tests).items() if passed.known.get(test) != key}
    if chosen.list:
        print(*sorted(tests), sep="\n")
        return 0
    if changed is None:
        print("No git here: all tests that start no process.")
    well = run_checks(reach, passed)
    runs = runs_of(tests, changed or set())
    with tempfile.TemporaryDirectory(prefix="soundstage-quick-") as folder:
        run_rooms(runs, Path(folder))
    keys.add({test: calls for run in runs for test, calls in run.calls.items()})
    passed.known |= keys.of(test for run in runs for test in run.files if test not in run.failed_files)
    passed.write()
    well = well and all(run.passed for run in runs)
    close(runs, well=well, seconds=time.monotonic() - begun)
    return 0 if well else 1


def _hash(files: Iterable[str]) -> str:
    """Returns the hash of the names and contents of files; one that is not there counts too."""
    whole = hashlib.sha256()
    for file in sorted(files):
        path = ROOT / file
        whole.update(f"{file}\0".encode() + (_digest(path) if path.is_file() else b"-"))
    return whole.hexdigest()[:32]


_digests: dict[Path, bytes] = {}


def _digest(path: Path) -> bytes:
    if path not in _digests:
        _digests[path] = hashlib.sha256(path.read_bytes()).digest()
    return _digests[path]


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, **environment}
    return subprocess.run(
        command, env=whole, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
