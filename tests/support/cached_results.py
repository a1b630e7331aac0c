"""Runs the long modules of tests only when what they depend on has changed; a plugin of pytest.

A module is cached when its tests are marked `cached`, or `torch` (matrices of modes, sizes and figures);
tests that are marked `smoke` too always run. Its key is a hash of all files that it reaches by imports
(import_reach), of the inputs that `cached` names, of the lock of its packages and of the version of Python.
`tests/cached_results.json` records the last run that passed; each complete run writes it. With
`--only-changed` modules whose key is on record are deselected and listed with the date and commit of that
run; without it (`make test-long`, by hand) all run. With `--own-room` too (`make test`) a module that names
its `own` files is deselected as long as those, and what it imports of its own room of tests, are the same: a
program that it starts has changed, and `make test-changed` runs it. One that failed runs until it has
passed. `--check-inputs` compares the key with the files that are really opened (opened_files).
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
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from _pytest.junitxml import xml_key
from import_reach import ImportReach
from opened_files import IGNORED, SHARED, OpenedFiles, files_in_git

RECORD = Path("tests", "cached_results.json")
# In the report of a room, for scripts/lanes.py.
PROPERTY = "not run"
MARKS = ("cached", "torch")
LEFT_OUT = ("slow", "gpu")
"""Marks of tests that a record does not wait for."""
NEUTRAL = ("tests/support/", "tests/conftest.py")
"""Files that choose and report tests; what tests find does not depend on their being opened."""
PAGES = ".md"
"""Documentation in a folder that is copied as a whole; it counts where the mark names the page itself."""


@dataclass(frozen=True, slots=True)
class CachedResult:
    """The last run of one module in which all its tests passed."""

    key: str
    date: str
    commit: str
    tests: int
    seconds: float
    result: str = "passed"
    own: str = ""
    """A hash of its own files; empty for modules that name none."""


@dataclass(slots=True)
class _Module:
    key: str
    own: str
    files: frozenset[Path]
    awaited: frozenset[str]
    passed: set[str] = field(default_factory=set)
    seconds: float = 0.0
    # Not to be recorded; and, of `red`, a test of it failed.
    failed: bool = False
    red: bool = False


def add_options(parser: pytest.Parser) -> None:
    parser.addoption(
        "--only-changed",
        action="store_true",
        help="leave out cached modules that passed and have not changed since (tests/cached_results.json)",
    )
    parser.addoption(
        "--own-room",
        action="store_true",
        help="with --only-changed: leave out journeys, too, of which only the programs that they start have "
        "changed",
    )
    parser.addoption(
        "--check-inputs",
        action="store_true",
        help="fail when a cached module opens a file that its key does not hold; nothing else may use the "
        "checkout meanwhile",
    )


def pytest_configure(config: pytest.Config) -> None:
    chosen = config.option
    config.pluginmanager.register(
        CachedResults(
            config.rootpath,
            only_changed=chosen.only_changed,
            own_room=chosen.own_room,
            check_inputs=chosen.check_inputs,
        )
    )


class CachedResults:
    """Deselects unchanged modules, and records those that passed as a whole."""

    def __init__(
        self, root: Path, *, only_changed: bool, own_room: bool = False, check_inputs: bool = False
    ) -> None:
        self._root = root
        self._only_changed = only_changed
        self._own_room = own_room
        self._inputs = Inputs(root)
        self._recorded = read_record(root / RECORD)
        self._running: dict[str, _Module] = {}
        # What is said of them, by module.
        self._left_out: dict[str, str] = {}
        self._opened = OpenedFiles(root) if check_inputs else None
        # Files that a module opened and its key does not hold.
        self._missing: dict[str, set[str]] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Iterator[None]:
        collected = _by_module(items)
        yield
        deselected: set[pytest.Item] = set()
        for path, tests in _by_module(items).items():
            name = str(path.relative_to(self._root))
            names, without, own_names = inputs_of_marks(tests)
            inputs = self._inputs.of(path, names, without)
            key = self._inputs.key_of(path, inputs)
            own = self._inputs.key_of(path, self._inputs.own_of(path, inputs, own_names)) if own_names else ""
            recorded = self._recorded.get(name)
            is_same = recorded is not None and (
                recorded.key == key or (self._own_room and own != "" and recorded.own == own)
            )
            if self._only_changed and recorded is not None and is_same:
                self._left_out[name] = _line(name, recorded, programs=recorded.key != key)
                deselected.update(tests)
            else:
                awaited = [
                    test for test in collected[path] if not any(map(test.get_closest_marker, LEFT_OUT))
                ]
                self._running[name] = _Module(
                    key, own, inputs.files, frozenset(test.nodeid for test in awaited)
                )
        if any("::" in argument for argument in config.args):
            # Single tests were asked for: what is awaited is not all of their module.
            for module in self._running.values():
                module.failed = True
        if deselected:
            items[:] = [item for item in items if item not in deselected]
            config.hook.pytest_deselected(items=list(deselected))
        if (report := config.stash.get(xml_key, None)) is not None:
            for _, line in sorted(self._left_out.items()):
                report.add_global_property(PROPERTY, line)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Iterator[pytest.CollectReport]:
        """Counts what a module opens while it is imported."""
        if self._opened is None or not isinstance(collector, pytest.Module):
            return (yield)
        with self._opened.label_inside(str(collector.path.relative_to(self._root))):
            return (yield)

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        if self._opened is not None:
            self._opened.label = location[0]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[Any]:
        """Counts what a fixture of the session opens for all modules, because only the first runs it."""
        if self._opened is None or fixturedef.scope != "session":
            return (yield)
        with self._opened.label_inside(SHARED):
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        module = self._running.get(report.location[0])
        if module is None:
            return
        module.seconds += report.duration
        module.red |= report.failed
        # A failure that a test expects is its result.
        if report.when == "call" and (report.passed or hasattr(report, "wasxfail")):
            module.passed.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._opened is not None:
            self._opened.label = IGNORED
            self._check_inputs(self._opened.close())
            if self._missing and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        complete = {
            name: module
            for name, module in self._running.items()
            if module.key
            and module.awaited
            and module.awaited <= module.passed
            and not module.failed | module.red
        }
        red = {name for name, module in self._running.items() if module.red}
        if not complete and not red & self._recorded.keys():
            return
        commit = _commit(self._root)
        results = {
            name: CachedResult(
                key=module.key,
                own=module.own,
                date=time.strftime("%Y-%m-%d", time.gmtime()),
                commit=commit + ("+" if commit and _differs(self._root, module.files) else ""),
                tests=len(module.passed),
                seconds=round(module.seconds, 1),
            )
            for name, module in complete.items()
        }
        with _locked((self._root / RECORD).parent):
            recorded = read_record(self._root / RECORD) | results
            without_own = {name: replace(recorded[name], own="") for name in red & recorded.keys()}
            write_record(self._root, recorded | without_own)

    def _check_inputs(self, opened: dict[str, set[str]]) -> None:
        shared = opened.get(SHARED, set())
        for name, module in self._running.items():
            inputs = {str(path.relative_to(self._root)) for path in module.files}
            reads = {file for file in opened.get(name, set()) | shared if not _is_neutral(file)}
            if missing := reads - inputs:
                self._missing[name] = missing
                module.failed = True

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._missing:
            terminalreporter.section("opened, but not in the key: not recorded", "-")
            for name, files in sorted(self._missing.items()):
                terminalreporter.write_line(f"{name}: {' '.join(sorted(files))}")
        if not self._left_out:
            return
        terminalreporter.section("not run: unchanged since they passed", "-")
        for _, line in sorted(self._left_out.items()):
            terminalreporter.write_line(line)
        terminalreporter.write_line(
            "TEST_ALL=1 make test, make test-long and pytest without --only-changed run them; "
            "make test-changed those whose programs have changed."
        )


@dataclass(frozen=True, slots=True)
class ModuleInputs:
    """The files that a module of tests depends on: those that it reaches by imports, and others."""

    reached: frozenset[Path]
    named: frozenset[Path]
    # Whether git has told which files the named folders hold.
    complete: bool = True

    @property
    def files(self) -> frozenset[Path]:
        return self.reached | self.named


class Inputs:
    """The files that modules of tests depend on, and keys of their contents."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reach = ImportReach(root)
        self._digests: dict[Path, str] = {}

    @cached_property
    def _in_git(self) -> frozenset[str]:
        return files_in_git(self.root)

    def of(
        self, test: Path, names: frozenset[str] = frozenset(), without: frozenset[str] = frozenset()
    ) -> ModuleInputs:
        """Returns the inputs of a module; `names` are files and folders, without their pages.

        Below `without`, files that imports reach do not count: a program imports them for other commands than
        those of the test.

        Raises pytest.UsageError for a name that no file has.
        """
        reached = frozenset(
            path
            for path in self.reach.files_of(test)
            if not any(path.is_relative_to(self.root / one) for one in without)
        )
        if not names or not self._in_git:
            return ModuleInputs(reached, frozenset(), complete=not names)
        for name in names | without:
            if not any(file == name or _in(file, name) for file in self._in_git):
                raise pytest.UsageError(f"{test}: git has no {name}, which `cached` names")
        files = {
            file
            for file in self._in_git
            if file in names or (any(_in(file, name) for name in names) and not file.endswith(PAGES))
        }
        return ModuleInputs(reached, frozenset(self.root / file for file in files))

    def own_of(self, test: Path, inputs: ModuleInputs, names: frozenset[str]) -> ModuleInputs:
        """Returns those of the inputs that are a module's own: itself, and what is below `names`."""

        def is_own(path: Path) -> bool:
            file = self._name(path)
            return path == test or any(file == name or _in(file, name) for name in names)

        return ModuleInputs(
            frozenset(path for path in inputs.reached if is_own(path)),
            frozenset(path for path in inputs.named if is_own(path)),
            inputs.complete,
        )

    def key_of(self, test: Path, inputs: ModuleInputs) -> str:
        """Returns a hash of the inputs, the lock of the packages and the version of Python; nothing when the
        inputs are not complete.

        It depends on nothing else of the computer: no times, no rights but that to run a file, no place.
        """
        if not inputs.complete:
            return ""
        lines = [f"python {sys.version_info[0]}.{sys.version_info[1]}"]
        lines += [f"{self._name(path)} {self.reach.digest_of(path)}" for path in sorted(inputs.reached)]
        lock = self.lock_of(test)
        lines.append(self.reach.digest_of(lock) if lock.exists() else "no lock")
        lines += [f"{self._name(path)} {self._content_of(path)}" for path in sorted(inputs.named)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24]

    def _content_of(self, path: Path) -> str:
        """Returns a hash of the content as git has it: with the target of a link, and the right to run it."""
        if path not in self._digests:
            if path.is_symlink():
                content, kind = os.fsencode(path.readlink()), "link"
            elif path.exists():
                content, kind = path.read_bytes(), "program" if path.stat().st_mode & 0o100 else "file"
            else:
                content, kind = b"", "deleted"
            self._digests[path] = f"{kind} {hashlib.sha256(content).hexdigest()}"
        return self._digests[path]

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def lock_of(self, test: Path) -> Path:
        """Returns the lock of the environment in which the room of a test runs."""
        room = test.relative_to(self.root / "tests").parts[0]
        return self.root / ("avatar/uv.lock" if room == "avatar" else "uv.lock")


def inputs_of_marks(tests: list[pytest.Item]) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Returns the files and folders that the mark `cached` names on these tests, those `without` which they
    run, and those that are their `own`.
    """
    marks = [mark for test in tests for mark in test.iter_markers("cached")]
    named = (name.rstrip("/") for mark in marks for name in mark.args)
    without = (name.rstrip("/") for mark in marks for name in mark.kwargs.get("without", ()))
    own = (name.rstrip("/") for mark in marks for name in mark.kwargs.get("own", ()))
    return frozenset(named), frozenset(without), frozenset(own)


def _by_module(items: list[pytest.Item]) -> dict[Path, list[pytest.Item]]:
    """Returns the tests of cached modules."""
    modules: dict[Path, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if any(map(item.get_closest_marker, MARKS)) and not item.get_closest_marker("smoke"):
            modules[item.path].append(item)
    return modules


def _line(name: str, result: CachedResult, *, programs: bool = False) -> str:
    what = "its programs changed" if programs else "unchanged"
    return f"{name}: {what} since {result.date} {result.commit} ({result.tests} tests, {result.seconds} s)"


def _is_neutral(file: str) -> bool:
    return file.startswith(NEUTRAL) or file.endswith(PAGES)


def _in(file: str, folder: str) -> bool:
    return file.startswith(f"{folder}/")


def read_record(path: Path) -> dict[str, CachedResult]:
    """Returns the recorded runs by module; none when the file is missing or damaged, so that all run."""
    try:
        return {
            name: CachedResult(**run) for name, run in json.loads(path.read_text(encoding="utf-8")).items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_record(root: Path, record: dict[str, CachedResult]) -> None:
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
