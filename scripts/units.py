"""Finds which parts of our files decide about a test file, by the functions that it has run; for quick.py.

A file has units. A body of a function decides about the tests that ran it (tests/support/function_calls.py).
What else stands at the top of a module (signatures, constants, imports, classes without the bodies of their
methods) runs at the import of all tests: it decides about those whose code names it, and what has an effect
at import, such as a decorated function or a table, about all that import the file.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reach import ROOTS, Reach

CACHE = Path(".quick/units.json")
# In a record of calls: every function of the file may have run.
ALL = "*"
_OWN_SOURCE = Path(__file__).read_bytes()
_WORD = re.compile(r"[A-Za-z_]\w*")
# Decorators that register nothing anywhere.
_PLAIN_DECORATORS = {
    *("property", "staticmethod", "classmethod", "abstractmethod", "override", "final", "cache", "lru_cache"),
    *("cached_property", "contextmanager", "asynccontextmanager", "wraps", "dataclass", "runtime_checkable"),
}

# Functions that a test file has run, by file: `{"agent/brain.py": ["Brain.answer"]}`.
Calls = Mapping[str, Iterable[str]]


@dataclass
class Units:
    """Holds the units of a file as digest and words: those that always count, by name, and by function."""

    always: list[tuple[str, str]] = field(default_factory=list)
    named: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    bodies: dict[str, tuple[str, str]] = field(default_factory=dict)


class UnitKeys:
    """Keys of test files: the hash of every unit that decides about one."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._units: dict[str, Units] = {}
        try:
            self._cached = json.loads((reach.root / CACHE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._cached = {}
        self._used: dict[str, list[object]] = {}
        self._has_new = False

    def key_of(self, test: str, calls: Calls) -> str:
        """Returns the hash of all units that decide about the test file."""
        files = sorted(self._reach.depends_on(test))
        found: set[str] = set()
        names: set[str] = set()

        def add(file: str, unit: tuple[str, str]) -> None:
            found.add(f"{file} {unit[0]}")
            names.update(unit[1].split())

        named = []
        for file in files:
            ran = set(calls.get(file, ()))
            units = self._units_of(file, whole=ALL in ran)
            for unit in units.always:
                add(file, unit)
            for function in ran & units.bodies.keys():
                add(file, units.bodies[function])
            # A class decides by its header too when only its methods are called.
            names |= {function.partition(".")[0] for function in ran}
            if units.named:
                named.append((file, units.named, set(units.named)))
        before = -1
        while before != len(names):
            before = len(names)
            for file, by_name, left in named:
                for name in left & names:
                    left.discard(name)
                    for unit in by_name[name]:
                        add(file, unit)
        return hashlib.sha256("\n".join([*files, *sorted(found)]).encode()).hexdigest()[:32]

    def write_cache(self) -> None:
        """Writes the units that were used, when some of them are new."""
        if self._has_new:
            (self._reach.root / CACHE).parent.mkdir(exist_ok=True)
            (self._reach.root / CACHE).write_text(json.dumps(self._used), encoding="utf-8")

    def _units_of(self, file: str, *, whole: bool) -> Units:
        whole = whole or not is_ours(file)
        cached = f"{file}{ALL if whole else ''}"
        if cached not in self._units:
            path = self._reach.root / file
            source = path.read_bytes() if path.is_file() else b""
            key = hashlib.sha256(_OWN_SOURCE + (b"whole" if whole else b"") + source).hexdigest()
            if key not in self._cached:
                units = split_units(source.decode(errors="replace"), whole=whole)
                self._has_new = True
                self._cached[key] = [units.always, units.named, units.bodies]
            self._used[key] = self._cached[key]
            self._units[cached] = Units(*self._cached[key])
        return self._units[cached]


def is_ours(file: str) -> bool:
    """Returns whether a file is one of the packages whose calls are recorded; not one of tests or scripts."""
    return any(
        file.startswith(f"{folder}/{package}/" if folder else f"{package}/")
        for folder, packages in ROOTS
        for package in packages
    )


def split_units(source: str, *, whole: bool = False) -> Units:
    """Returns the units of a file; `whole`, or when it cannot be parsed: the file is one unit."""
    units, lines = Units(), source.splitlines()
    try:
        body = [] if whole else ast.parse(source).body
    except (SyntaxError, ValueError):
        whole = True
    if whole:
        units.always.append(_unit(source))
        return units
    for node in body:
        start, end = _span(node)
        text = "\n".join(lines[start:end])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _add_function(units, node, lines)
        elif isinstance(node, ast.ClassDef):
            _add_class(units, node, lines)
        else:
            for name in _bound_names(node):
                _add(units, name, text)
    return units


def _add(units: Units, name: str, text: str) -> None:
    """Adds what counts for those who name it; without a name, for all."""
    (units.named.setdefault(name, []) if name else units.always).append(_unit(text))


def _add_function(units: Units, node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> None:
    header, body = _split_function(node, lines)
    _add(units, node.name if _is_plain(node) else "", header)
    units.bodies[node.name] = _unit(body)


def _add_class(units: Units, node: ast.ClassDef, lines: list[str]) -> None:
    """The header of a class: all of it but the bodies of its methods."""
    start, end = _span(node)
    text: list[str] = []
    for method in node.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
            first, last = _span(method)
            header, body = _split_function(method, lines)
            text += [*lines[start:first], header]
            start = last
            name = f"{node.name}.{method.name}"
            # A property and its setter have one name.
            units.bodies[name] = _unit(units.bodies.get(name, ("", ""))[0] + body)
    text += lines[start:end]
    whole = "\n".join(text)
    plain = _is_plain(node) and not node.keywords and "__tablename__" not in whole
    _add(units, node.name if plain else "", whole)


def _split_function(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> tuple[str, str]:
    """Returns decorators, signature and docstring, and the body."""
    start, end = _span(node)
    first = node.body[0]
    has_docstring = ast.get_docstring(node, clean=False) is not None
    body = (first.end_lineno or 0) if has_docstring else first.lineno - 1
    if first.lineno == node.lineno:
        body = start
    header = lines[start : max(body, node.lineno)]
    return "\n".join(header), "\n".join(lines[body:end])


def _is_plain(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Returns whether it registers nothing at import, as far as its decorators tell."""
    for decorator in node.decorator_list:
        function = decorator.func if isinstance(decorator, ast.Call) else decorator
        if ast.unparse(function).rpartition(".")[2] not in _PLAIN_DECORATORS:
            return False
    return True


def _bound_names(node: ast.stmt) -> Iterator[str]:
    """Yields the names that a statement of a module binds; an empty one when it may do something else."""
    targets: list[ast.expr] = []
    value: ast.AST | None = None
    if isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield "" if alias.name == "*" else alias.asname or alias.name.partition(".")[0]
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not node.orelse:
        return
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        yield "__doc__"
    elif isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.AnnAssign):
        targets, value = [node.target], node.value
    else:
        yield ""
    calls = value is not None and any(isinstance(one, ast.Call) for one in ast.walk(value))
    for target in targets:
        yield target.id if isinstance(target, ast.Name) and not calls else ""


def _span(node: ast.AST) -> tuple[int, int]:
    """Returns the first line, decorators among them, and the one after the last, counted from 0."""
    decorators = [one.lineno for one in getattr(node, "decorator_list", ())]
    return min([node.lineno, *decorators]) - 1, node.end_lineno  # type: ignore[attr-defined]


def _unit(text: str) -> tuple[str, str]:
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return digest, " ".join(sorted(set(_WORD.findall(text))))
