"""Marks the tests that start processes, so that `make quick` can leave them out.

A pytest plugin, which tests/conftest.py registers. A test is marked `process` when the code that it and its
fixtures name (functions and classes of tests/, as far as global names lead) uses a module that starts
processes, or when an earlier run under the guard saw it start one. Nobody marks by hand.

The guard (TEST_PROCESS_GUARD=1) stops a test at the moment at which it would start a process: it is
skipped and remembered. So a run under it starts none, whatever the marks say.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing.util
import os
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
SEEN = TESTS.parent / ".quick" / "processes.json"
REASON = "starts a process, which make quick leaves out"
GUARDED = os.environ.get("TEST_PROCESS_GUARD") == "1"
_MODULES = {"subprocess", "multiprocessing", "pty", "playwright"}
_NAMES = {
    *("create_subprocess_exec", "create_subprocess_shell", "ProcessPoolExecutor", "sync_playwright"),
    *("posix_spawn", "posix_spawnp", "fork", "forkpty"),
}
_EVENTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"}
# What a test may still do once it was refused a process that it waits for.
_GRACE_S = 5.0


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "process: starts a process; set by tests/support/processes.py")
    if GUARDED:
        config.pluginmanager.register(Guard(config))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    seen = _seen()
    for item in items:
        if _starts_by_name(item) or seen.get(item.nodeid) == _hash(item.path):
            item.add_marker("process")


class Guard:
    """Refuses processes to the test that runs, and writes down which tests asked for one."""

    def __init__(self, config: pytest.Config) -> None:
        self._is_worker = hasattr(config, "workerinput")
        self._running: str | None = None
        self._refused: set[str] = set()
        self._seen: set[str] = set()
        sys.addaudithook(self._audit)
        self._spawn = multiprocessing.util.spawnv_passfds
        multiprocessing.util.spawnv_passfds = self._refuse_spawn  # type: ignore[assignment]

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS:
            self._refuse()

    def _refuse_spawn(self, *arguments: Any) -> int:
        """Refuses too; the interpreter reports no event for it."""
        self._refuse()
        return self._spawn(*arguments)

    def _refuse(self) -> None:
        if self._running is None:
            return
        self._refused.add(self._running)
        if signal.getsignal(signal.SIGALRM) not in (signal.SIG_DFL, signal.SIG_IGN, None):
            # The time-out of the test, much earlier: it may wait for what never comes.
            signal.setitimer(signal.ITIMER_REAL, _GRACE_S)
        # As the system refuses: code that starts a process has an answer to that, and ends well.
        raise PermissionError(REASON)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._running = item.nodeid
        try:
            return (yield)
        finally:
            self._running = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        report: pytest.TestReport = yield  # type: ignore[assignment]
        if report.failed and call.excinfo is not None and _has_reason(call.excinfo.value):
            # A fixture that earlier tests share was refused.
            self._refused.add(item.nodeid)
        if item.nodeid in self._refused and report.outcome != "skipped":
            # It went on without its process: neither its failure nor its success says anything.
            report.outcome = "skipped"
            report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {REASON}")
        return report  # type: ignore[return-value]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and REASON in str(report.longrepr):
            self._seen.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        if self._is_worker or not self._seen:
            return
        known = _seen() | {test: _hash(TESTS.parent / test.partition("::")[0]) for test in self._seen}
        SEEN.parent.mkdir(exist_ok=True)
        SEEN.write_text(json.dumps(known, indent=0, sort_keys=True), encoding="utf-8")


def _has_reason(error: BaseException | None) -> bool:
    while error is not None:
        if REASON in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _seen() -> dict[str, str]:
    """Returns the tests that were refused a process, with the hash of their file then."""
    try:
        found: dict[str, str] = json.loads(SEEN.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


@cache
def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else ""


def _starts_by_name(item: pytest.Item) -> bool:
    functions = [getattr(item, "obj", None)]
    info = getattr(item, "_fixtureinfo", None)
    if info is not None:
        functions += [one.func for defs in info.name2fixturedefs.values() for one in defs[-1:]]
    return any(_starts(function) for function in functions if function is not None)


@cache
def _starts(subject: Any) -> bool:
    """Returns whether a function or class of tests/ leads to a name that starts processes."""
    done: set[int] = set()
    waiting = [subject]
    while waiting:
        one = waiting.pop()
        one = getattr(one, "__func__", one)
        one = getattr(one, "__wrapped__", one)
        if id(one) in done:
            continue
        done.add(id(one))
        if isinstance(one, type):
            waiting += [member for member in vars(one).values() if isinstance(member, FunctionType)]
            waiting += [base for base in one.__bases__ if base is not object]
        elif isinstance(one, FunctionType) and Path(one.__code__.co_filename).is_relative_to(TESTS):
            for name in _names(one.__code__):
                value = one.__globals__.get(name)
                module = value.__name__.partition(".")[0] if isinstance(value, ModuleType) else ""
                if name in _NAMES or module in _MODULES:
                    return True
                if isinstance(value, FunctionType | type) or hasattr(value, "__wrapped__"):
                    waiting.append(value)
                elif module and str(getattr(value, "__file__", "")).startswith(str(TESTS)):
                    waiting += [vars(value)[used] for used in _names(one.__code__) if used in vars(value)]
    return False


def _names(code: CodeType) -> set[str]:
    """Returns the names that a function uses, those of the functions inside of it too."""
    inner = (one for one in code.co_consts if isinstance(one, CodeType))
    return {*code.co_names, *code.co_freevars}.union(*map(_names, inner))
