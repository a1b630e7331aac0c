"""Lists the files of this repository that a test module depends on, by reading imports; for cached_results.

Reads the syntax trees and imports nothing, so it needs no package and sees imports inside functions too. A
module that is named in a string (`ENGINE_MODULES`, `monkeypatch.setattr`, the code of a subprocess) counts as
imported, and so does a file beside the module, below the package or below the repository that a string names.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from function_calls import PACKAGES, ROOT

# Our packages by their folder, as ROOTS of scripts/reach.py.
# Folders of our packages.
SOURCES = {name: folder.relative_to(ROOT) for name, folder in PACKAGES.items()}
# Folders whose modules tests import by their bare name, beside those of tests/.
LOOSE = ("bench/parity", "scripts")
_DOTTED = re.compile(rf"\b(?:{'|'.join(SOURCES)})(?:\.\w+)+\.?")


class ImportReach:
    """Files that modules of `root` reach; every file is parsed once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tests = root / "tests"
        # Fixtures of all rooms: they count. Its hooks, which choose tests, and its servers do not.
        self._shared = root / "tests" / "conftest.py"
        self._trees: dict[Path, ast.Module] = {}
        self._direct: dict[Path, frozenset[Path]] = {}
        self._digests: dict[Path, str] = {}

    def files_of(self, test: Path) -> frozenset[Path]:
        """Returns `test`, its conftest files, and all files that they reach, through others too."""
        found: set[Path] = set()
        waiting = [test, *self._conftests(test)]
        while waiting:
            path = waiting.pop()
            if path in found or path == self._shared:
                continue
            found.add(path)
            if path.suffix == ".py":
                waiting += self._direct_of(path)
        return frozenset(found | ({self._shared} if self._shared.exists() else set()))

    def digest_of(self, path: Path) -> str:
        """Returns a hash of the file; of Python code, without its comments, layout and docstrings."""
        if path not in self._digests:
            if path.suffix == ".py":
                statements = _without_docstrings(self._tree(path))
                if path == self._shared:
                    statements = _fixtures(statements)
                content = "\n".join(map(ast.dump, statements)).encode()
            else:
                content = path.read_bytes()
            self._digests[path] = hashlib.sha256(content).hexdigest()
        return self._digests[path]

    def _tree(self, path: Path) -> ast.Module:
        if path not in self._trees:
            self._trees[path] = ast.parse(path.read_text(encoding="utf-8"), str(path))
        return self._trees[path]

    def _conftests(self, test: Path) -> Iterator[Path]:
        for folder in test.parents:
            if folder == self._tests:
                return
            if (folder / "conftest.py").exists():
                yield folder / "conftest.py"

    @cached_property
    def _helpers(self) -> dict[str, list[Path]]:
        """Modules that tests import by their bare name, from folders that they add to `sys.path`."""
        found: dict[str, list[Path]] = {}
        folders = [self._tests.glob("*/**/*.py"), *((self.root / name).glob("*.py") for name in LOOSE)]
        for path in (path for folder in folders for path in folder):
            if path.name != "conftest.py":
                found.setdefault(path.stem, []).append(path)
        return found

    def _helper(self, name: str, importer: Path) -> list[Path]:
        """Returns the modules that a bare name may mean: of the importer's room when it has one."""
        same = self._helpers.get(name, [])
        room = importer.relative_to(self.root).parts[:2]
        return [path for path in same if path.relative_to(self.root).parts[:2] == room] or same

    def _direct_of(self, path: Path) -> frozenset[Path]:
        if path not in self._direct:
            names, texts = _references(self._tree(path))
            files = {file for name in names for file in self._imported(name, path)}
            for text in texts:
                for name in _DOTTED.findall(text):
                    files.update(self._named(name))
                files.update(self._data(text, path))
            self._direct[path] = frozenset(files - {path})
        return self._direct[path]

    def _imported(self, name: str, importer: Path) -> Iterator[Path]:
        """Yields the files of an import: each package on the way, then the module."""
        if name.startswith(".."):
            raise ValueError(f"{importer} imports {name}: above its own folder, imports are absolute")
        first, *rest = name.lstrip(".").split(".")
        if first not in SOURCES:
            beside = importer.with_name(f"{first}.py")
            yield from [beside] if beside.exists() else self._helper(first, importer)
            return
        folder = self.root / SOURCES[first] / first
        if not (folder / "__init__.py").exists():
            return
        yield folder / "__init__.py"
        for part in rest:
            if (folder / f"{part}.py").exists():
                yield folder / f"{part}.py"
                return
            folder = folder / part
            if not (folder / "__init__.py").exists():
                return
            yield folder / "__init__.py"

    def _named(self, name: str) -> Iterator[Path]:
        """Yields the files of a module that a string names; with a dot at the end all of that package."""
        yield from self._imported(name.rstrip("."), self.root)
        first, *rest = name.rstrip(".").split(".")
        folder = (self.root / SOURCES[first] / first).joinpath(*rest)
        if name.endswith("."):
            yield from folder.glob("*.py")
        elif (folder / "__main__.py").exists():
            yield folder / "__main__.py"

    def _data(self, text: str, importer: Path) -> Iterator[Path]:
        if not re.fullmatch(r"[\w./-]+\.\w+", text) or text.startswith("/"):
            return
        for folder in (importer.parent, *self._package_folder(importer), self.root):
            path = folder / text
            if path.is_file() and path.resolve().is_relative_to(self.root):
                yield path.resolve()

    def _package_folder(self, importer: Path) -> Iterator[Path]:
        """Yields the folder of the package that the importer belongs to, or tests."""
        inside = importer.relative_to(self.root)
        for name, source in SOURCES.items():
            if inside.is_relative_to(source / name) or inside.parts[:2] == ("tests", name):
                yield self.root / source / name


def _references(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Returns the names that a module imports at run time, and its strings without docstrings."""
    names: set[str] = set()
    texts: set[str] = set()
    waiting: list[ast.AST] = _without_docstrings(tree)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.add(node.value)
        waiting += ast.iter_child_nodes(node)
    return names, texts


def _without_docstrings(tree: ast.Module) -> list[ast.AST]:
    """Returns the statements of the module; strings that stand alone are taken out at every depth."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]
    return list(tree.body)


def _fixtures(statements: list[ast.AST]) -> list[ast.AST]:
    """Returns the fixtures of a module, and the functions and constants that they name."""
    found = [
        line
        for line in statements
        if isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef)
        and any("fixture" in ast.unparse(decorator) for decorator in line.decorator_list)
    ]
    for line in found:
        names = {node.id for node in ast.walk(line) if isinstance(node, ast.Name)}
        found += [other for other in statements if other not in found and _binds(other) & names]
    return found


def _binds(line: ast.AST) -> set[str]:
    if isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {line.name}
    targets = line.targets if isinstance(line, ast.Assign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _is_text(line: ast.AST) -> bool:
    value = line.value if isinstance(line, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)
