"""Runs the matrices of the networks' tests only when what they depend on has changed; a plugin of pytest.

Tests marked `torch` are matrices of modes, sizes and figures; those that are marked `smoke` too always run.
A module of the others has a key: a hash of all files that it reaches (import_reach), of the lock of its
packages and of the version of Python. `tests/matrix_runs.json` records the last run that passed; each
complete run writes it. With `--matrix=changed` (`make test`) modules whose key is on record are deselected
and listed with the date and commit of that run; without it (`make test-long`, by hand) all run.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
from import_reach import ImportReach

RECORD = Path("tests", "matrix_runs.json")
LOCK = Path("avatar", "uv.lock")
LEFT_OUT = ("slow", "gpu")
"""Marks of tests that a record does not wait for."""


@dataclass(frozen=True, slots=True)
class MatrixRun:
    """The last run of one module in which all its tests passed."""

    key: str
    date: str
    commit: str
    tests: int
    seconds: float
    result: str = "passed"


@dataclass(slots=True)
class _Module:
    key: str
    files: frozenset[Path]
    awaited: frozenset[str]
    passed: set[str] = field(default_factory=set)
    seconds: float = 0.0
    failed: bool = False


class MatrixRuns:
    """Deselects unchanged modules, and records those that passed as a whole."""

    def __init__(self, root: Path, *, only_changed: bool) -> None:
        self._root = root
        self._only_changed = only_changed
        self._reach = ImportReach(root)
        self._recorded = read_record(root / RECORD)
        self._running: dict[str, _Module] = {}
        self._unchanged: dict[str, MatrixRun] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Iterator[None]:
        collected = _by_module(items)
        yield
        deselected: set[pytest.Item] = set()
        for path, tests in _by_module(items).items():
            name = str(path.relative_to(self._root))
            files = self._reach.files_of(path)
            key = key_of(self._reach, files)
            recorded = self._recorded.get(name)
            if self._only_changed and recorded is not None and recorded.key == key:
                self._unchanged[name] = recorded
                deselected.update(tests)
            else:
                awaited = [
                    test for test in collected[path] if not any(map(test.get_closest_marker, LEFT_OUT))
                ]
                self._running[name] = _Module(key, files, frozenset(test.nodeid for test in awaited))
        if any("::" in argument for argument in config.args):
            # Single tests were asked for: what is awaited is not all of their module.
            for module in self._running.values():
                module.failed = True
        if deselected:
            items[:] = [item for item in items if item not in deselected]
            config.hook.pytest_deselected(items=list(deselected))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        module = self._running.get(report.location[0])
        if module is None:
            return
        module.seconds += report.duration
        module.failed |= report.failed
        if report.when == "call" and report.passed:
            module.passed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        complete = {
            name: module
            for name, module in self._running.items()
            if module.awaited and module.awaited <= module.passed and not module.failed
        }
        if not complete:
            return
        commit = _commit(self._root)
        runs = {
            name: MatrixRun(
                key=module.key,
                date=time.strftime("%Y-%m-%d", time.gmtime()),
                commit=commit + ("+" if commit and _differs(self._root, module.files) else ""),
                tests=len(module.passed),
                seconds=round(module.seconds, 1),
            )
            for name, module in complete.items()
        }
        with _locked((self._root / RECORD).parent):
            write_record(self._root, read_record(self._root / RECORD) | runs)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._unchanged:
            return
        terminalreporter.section("matrices not run: unchanged since they passed", "-")
        for name, run in sorted(self._unchanged.items()):
            terminalreporter.write_line(
                f"{name}: unchanged since {run.date} {run.commit} ({run.tests} tests, {run.seconds} s)"
            )
        terminalreporter.write_line("`make test-long` and pytest without --matrix=changed run them.")


def _by_module(items: list[pytest.Item]) -> dict[Path, list[pytest.Item]]:
    """Returns the tests of matrices."""
    modules: dict[Path, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("torch") and not item.get_closest_marker("smoke"):
            modules[item.path].append(item)
    return modules


def key_of(reach: ImportReach, files: frozenset[Path]) -> str:
    """Returns a hash of `files`, the lock of the packages and the version of Python."""
    lines = [f"python {sys.version_info[0]}.{sys.version_info[1]}"]
    lines += [f"{path.relative_to(reach.root)} {reach.digest_of(path)}" for path in sorted(files)]
    lock = reach.root / LOCK
    lines.append(reach.digest_of(lock) if lock.exists() else "no lock")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24]


def read_record(path: Path) -> dict[str, MatrixRun]:
    """Returns the recorded runs by module; none when the file is missing or damaged, so that all run."""
    try:
        return {name: MatrixRun(**run) for name, run in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_record(root: Path, record: dict[str, MatrixRun]) -> None:
    """Writes the runs of modules that exist, in one step."""
    entries = {name: asdict(run) for name, run in sorted(record.items()) if (root / name).exists()}
    target = root / RECORD
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_suffix(".new")
    staged.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    staged.replace(target)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lets one run at a time change the record, such as the workers of pytest-xdist."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _commit(root: Path) -> str:
    """Returns the commit that is checked out, or nothing where there is no git."""
    return _git(root, "rev-parse", "--short=10", "HEAD")


def _differs(root: Path, files: frozenset[Path]) -> bool:
    """Returns whether one of `files` is not as in the commit."""
    return bool(_git(root, "status", "--porcelain", "--", *map(str, sorted(files))))


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
