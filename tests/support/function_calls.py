"""Records which functions of our packages each test file runs, for scripts/units.py.

A pytest plugin, which tests/conftest.py registers; it works under `make quick` alone (TEST_FUNCTION_CALLS).
Modules of our packages are compiled with a mark at the beginning of each function, which costs less than a
tracer. What fixtures of the session and functions with a cache run, later files use without running it:
it counts for all files of the process.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# Where to write the record; each process adds its number.
REPORT = os.environ.get("TEST_FUNCTION_CALLS", "")
# Folder of packages, and what is in it: as ROOTS of scripts/reach.py, which not every environment can import.
PACKAGES = {
    **dict.fromkeys(
        ("soundstage", "policy", "farm", "pxe", "studio", "provisioning_api", "agent", "lab", "app"), ROOT
    ),
    "avatar": ROOT / "avatar" / "src",
    "gpu_device_plugin": ROOT / "farm" / "device_plugin" / "src",
}
# In a record: every function of the file may have run.
ALL = "*"
_RAN, _SHARED = "__ran__", "__ran_shared__"
_COMPILED = ROOT / ".quick" / "compiled" / hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


class FunctionCalls:
    """Keeps the functions that ran: since the test file changed, by each test file, and for all of them."""

    def __init__(self) -> None:
        self._now: dict[str, set[str]] = {}
        self._by_test_file: dict[str, dict[str, set[str]]] = {}
        self._shared: dict[str, set[str]] = {}
        self._current: str | None = None

    def adder(self, file: str) -> Callable[[str], None]:
        """Returns what the functions of a file call with their name."""
        return self._now.setdefault(file, set()).add

    def enter(self, test_file: str | None) -> None:
        """Counts what runs from now on for this test file; for all, when there is none."""
        if self._current != test_file:
            self._count()
            self._current = test_file

    @contextmanager
    def sharing(self) -> Iterator[None]:
        before = self._current
        self.enter(None)
        try:
            yield
        finally:
            self.enter(before)

    def report(self) -> dict[str, dict[str, list[str]]]:
        """Returns the functions by test file and file; what was run for all is in each."""
        self._count()
        for file in {*_imported_without_marks(), *_run_without_marks}:
            self._shared.setdefault(file, set()).add(ALL)
        return {
            test_file: {
                file: sorted(ran.get(file, set()) | self._shared.get(file, set()))
                for file in ran.keys() | self._shared.keys()
            }
            for test_file, ran in self._by_test_file.items()
        }

    def _count(self) -> None:
        into = self._shared
        if self._current is not None:
            into = self._by_test_file.setdefault(self._current, {})
        for file, names in self._now.items():
            if names:
                into.setdefault(file, set()).update(names)
                names.clear()


_CALLS = FunctionCalls()
# Files, and the code of their modules by id.
_marked: set[str] = set()
_marked_code: dict[int, CodeType] = {}
# Such as migrations, which Alembic runs from their files.
_run_without_marks: set[str] = set()
# Templates of databases, which later tests copy, are made inside of this.
sharing = _CALLS.sharing


class _Recorder:
    """The hooks of pytest."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        _CALLS.enter(item.path.relative_to(ROOT).as_posix())
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        if nextitem is not None:
            return (yield)
        # Fixtures of the session end with the last test.
        with sharing():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Iterator[Any]:
        if fixturedef.scope not in ("session", "package"):
            return (yield)
        with sharing():
            return (yield)

    def pytest_sessionfinish(self) -> None:
        Path(f"{REPORT}.{os.getpid()}").write_text(json.dumps(_CALLS.report()), encoding="utf-8")


class _Loader(SourceFileLoader):
    """Compiles a module with marks, and keeps the result beside the other state of `make quick`."""

    def source_to_code(self, data: Any, path: Any, **more: Any) -> CodeType:
        tree = ast.parse(data)
        for node in tree.body:
            _mark(node)
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        _marked.add(self.path)
        module.__dict__[_RAN] = _CALLS.adder(_file_of(self.path))
        module.__dict__[_SHARED] = sharing
        super().exec_module(module)

    def get_code(self, fullname: str) -> CodeType | None:
        code = super().get_code(fullname)
        if code is not None:
            _marked_code[id(code)] = code
        return code

    def get_data(self, path: Any) -> bytes:
        return super().get_data(_place(path))

    def set_data(self, path: Any, data: Any, **more: Any) -> None:
        super().set_data(_place(path), data, **more)


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] not in PACKAGES:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader and _is_ours(spec.loader.path):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def _mark(node: ast.stmt, prefix: str = "") -> None:
    """Adds `__ran__("Class.method")` as the first statement of a function, or of the methods of a class.

    Inner functions have no mark of their own: the outer one ran for this test file or for all, and SQLAlchemy
    accepts no calls in functions that it analyses.
    """
    if isinstance(node, ast.ClassDef):
        for inner in node.body:
            _mark(inner, f"{prefix}{node.name}.")
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        docstring = _docstring(node)
        body = node.body[len(docstring) :]
        if any("cache" in ast.unparse(one) for one in node.decorator_list):
            body = [ast.With([ast.withitem(_call(_SHARED, []))], body)]
        ran = ast.Expr(_call(_RAN, [ast.Constant(f"{prefix}{node.name}")]))
        node.body = [*docstring, ran, *body]


def _call(name: str, arguments: list[ast.expr]) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), arguments, [])


def _docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    return node.body[:1] if ast.get_docstring(node, clean=False) is not None else []


def _place(path: str) -> str:
    """Returns where the compiled form of a module is kept."""
    if not path.endswith(".pyc"):
        return path
    return str(_COMPILED / _file_of(path).replace("/", "."))


def _file_of(path: str) -> str:
    return Path(path).relative_to(ROOT).as_posix()


def _is_ours(path: str) -> bool:
    return any(Path(path).is_relative_to(folder / name) for name, folder in PACKAGES.items())


def _imported_without_marks() -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        ours = name.partition(".")[0] in PACKAGES and path and _is_ours(path)
        if ours and path not in _marked:
            yield _file_of(path)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "exec":
        path = getattr(arguments[0], "co_filename", "")
        if path.startswith(str(ROOT)) and id(arguments[0]) not in _marked_code and _is_ours(path):
            _run_without_marks.add(_file_of(path))


def _install() -> None:
    # For functions whose code somebody runs with other global names.
    setattr(builtins, _RAN, lambda name: None)
    setattr(builtins, _SHARED, sharing)
    sys.meta_path.insert(0, _Finder())
    sys.addaudithook(_audit)


if REPORT:
    _install()


def pytest_configure(config: pytest.Config) -> None:
    if REPORT:
        config.pluginmanager.register(_Recorder())
