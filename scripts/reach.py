"""Finds what each test file depends on, by the imports of the files; for scripts/quick.

A node is a file. An edge leads from a file to each one that its imports run: the module, the packages around
it, modules that it names in a string (`"app.cli.videos.ask"`, `f"agent.tools.{name}"`) and, for a test, the
conftest.py of the folders above it. Imports inside of functions count; those for types alone do not. What the
graph cannot see, a change of any other file, is answered with more tests (`tests_of_other_file`).
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from rooms import ROOMS

CONTROL = ("soundstage", "policy", "farm", "pxe", "studio", "provisioning_api", "agent", "lab", "app")
# Folders of packages, with the folder that is on the path of Python.
ROOTS = (("", CONTROL), ("avatar/src", ("avatar",)), ("farm/device_plugin/src", ("gpu_device_plugin",)))
# Folders whose files are imported by their own name: tests insert them into the path.
LOOSE = ("tests", "scripts", "bench", "ansible/roles", "ansible/plugins", "molecule")
# Before a name that stands in a string: only modules of packages are meant by those.
IN_STRING = "="
SKIPPED = {".venv", "__pycache__", "node_modules", "built"}
# Files that decide about every test.
EVERYTHING = (
    *("uv.lock", "pyproject.toml", "avatar/uv.lock", "avatar/pyproject.toml"),
    *("tests/conftest.py", "tests/support/", "scripts/setup", "scripts/rooms.py"),
)
# Folders that are no Python, and the rooms of tests that use them; all rooms for those not named.
OTHERS = {
    "docs": ("project", "monitoring"),
    "molecule": ("lab", "ansible", "project"),
    "inventory": ("ansible", "lab", "project"),
    "ansible": ("ansible", "node_health", "gpu_role", "monitoring", "lab", "provisioning_api", "project"),
    "jobs": ("jobs", "farm", "app", "project"),
    "ui": ("ui", "app", "project"),
    "tools": ("tools", "project"),
    "bench": ("project", "policy", "agent", "avatar"),
    "scripts": ("project", "monitoring"),
    ".ci": ("project",),
}
# Rooms of tests that read files of the whole checkout.
READERS = ("project",)
# How other tests look through files of the checkout.
_READS = re.compile(r"^PACKAGES =|(?:ROOT|REPOSITORY|PERSONAS|\broom\b)[^\n]*\.r?glob\(", re.MULTILINE)


# Keeps the names that each file imports, by its contents and those of this file: parsing all takes seconds.
CACHE = Path(".quick/imports.json")
_OWN_SOURCE = Path(__file__).read_bytes()


class Reach:
    """The files of a checkout and what each depends on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.broken: set[str] = set()
        self._cached = _read_cache(root / CACHE)
        self._names: dict[str, list[str] | None] = {}
        self._modules: dict[str, str] = {}
        self._loose: dict[str, list[str]] = {}
        for folder, packages in ROOTS:
            for package in packages:
                for path in _python_files(root / folder / package):
                    self._modules[_module_name(path.relative_to(root / folder))] = _name(path, root)
        for folder in LOOSE:
            for path in _python_files(root / folder):
                name = path.parent.name if path.stem == "__init__" else path.stem
                self._loose.setdefault(name, []).append(_name(path, root))
        files = [*self._modules.values(), *(file for files in self._loose.values() for file in files)]
        self.edges = {file: self._imports(file) for file in files}
        if self._names != self._cached:
            (root / CACHE).parent.mkdir(exist_ok=True)
            (root / CACHE).write_text(json.dumps(self._names), encoding="utf-8")
        self.tests = sorted(file for file in files if file.startswith("tests/") and "/test_" in file)

    def depends_on(self, file: str) -> set[str]:
        """Returns every file that runs when this one does, itself among them."""
        found, waiting = set(), [file]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self.edges.get(one, ())
        return found

    def tests_for(self, changed: Iterable[str]) -> set[str]:
        """Returns the test files that a change of these files can reach; deleted ones may be among them."""
        changed, chosen, python = set(changed), set(), set()
        for file in changed:
            if file.startswith(EVERYTHING):
                return set(self.tests)
            if file in self.edges and file not in self.broken:
                python.add(file)
            else:
                chosen |= self.tests_of_other_file(file)
        needed = {test: self.depends_on(test) for test in self.tests}
        chosen |= {test for test in self.tests if needed[test] & python}
        if changed:
            chosen |= {test for test in self.tests if self.reads_checkout(test)}
        return chosen

    def reads_checkout(self, test: str) -> bool:
        """Returns whether a test looks through files of the checkout, which no import shows."""
        if test.split("/")[1] in READERS:
            return True
        text = (self.root / test).read_text(encoding="utf-8", errors="replace")
        return _READS.search(text) is not None

    def tests_of_other_file(self, file: str) -> set[str]:
        """Returns the tests for a file that no import leads to: data, a deleted or broken module."""
        first, _, rest = file.partition("/")
        if first == "tests":
            room = rest.partition("/")[0]
            inside = {test for test in self.tests if test.startswith(f"tests/{room}/")}
            if file == f"tests/{room}/sentences.json":
                inside = {test for test in inside if "snapshot(" in (self.root / test).read_text()}
            return inside if _is_room(room) else set(self.tests)
        if first in CONTROL or file.startswith("avatar/"):
            # Its package, and whoever imports something of that.
            package = "avatar/src/avatar/" if file.startswith("avatar/") else f"{first}/"
            return {
                test for test in self.tests if any(one.startswith(package) for one in self.depends_on(test))
            }
        if first in OTHERS:
            return {test for test in self.tests if test.split("/")[1] in OTHERS[first]}
        if "/" not in file and file.endswith(".md"):
            return {test for test in self.tests if test.split("/")[1] in READERS}
        return set(self.tests)

    def _imports(self, file: str) -> set[str]:
        names = self._names_in(file)
        if names is None:
            self.broken.add(file)
            return set()
        found = {target for name in names for target in self._resolve(name, file)}
        if file.startswith("tests/"):
            above = (str(folder / "conftest.py") for folder in Path(file).parents)
            found |= {conftest for conftest in above if (self.root / conftest).exists()}
        return found - {file}

    def _names_in(self, file: str) -> list[str] | None:
        """Returns the dotted names that a file imports; None for one that cannot be parsed."""
        try:
            source = (self.root / file).read_bytes()
        except OSError:
            return None
        package = self._package_of(file)
        key = hashlib.sha256(_OWN_SOURCE + package.encode() + source).hexdigest()
        if key in self._cached:
            self._names[key] = self._cached[key]
        else:
            try:
                self._names[key] = sorted(set(_names(ast.parse(source), package)))
            except (SyntaxError, ValueError):
                self._names[key] = None
        return self._names[key]

    def _package_of(self, file: str) -> str:
        """Returns the package that relative imports begin at; empty for a file that lies in none."""
        for folder, packages in ROOTS:
            inside = file.removeprefix(f"{folder}/") if folder else file
            if inside.split("/")[0] in packages and (not folder or inside != file):
                return ".".join(Path(inside).parent.parts)
        return ""

    def _resolve(self, name: str, file: str) -> Iterator[str]:
        """Yields the files that run for a dotted name, of which the last part may be no module."""
        prefix = name.endswith(".*")
        parts = name.removeprefix(IN_STRING).removesuffix(".*").split(".")
        if not any(part.split(".")[0] == parts[0] for _, packages in ROOTS for part in packages):
            # Several files may have the name: all of them, but the neighbour's when there is one.
            if name.startswith(IN_STRING):
                return
            same = self._loose.get(parts[-1] if len(parts) > 1 and parts[0] in LOOSE else parts[0], [])
            near = [one for one in same if Path(one).parent == Path(file).parent]
            yield from near or same
            return
        for length in range(1, len(parts) + 1):
            if target := self._modules.get(".".join(parts[:length])):
                yield target
        if prefix:
            yield from (
                path for module, path in self._modules.items() if module.startswith(".".join(parts) + ".")
            )


def _read_cache(path: Path) -> dict[str, list[str] | None]:
    """Returns the names by hash; none when the cache is missing or broken."""
    try:
        cached: dict[str, list[str] | None] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cached if isinstance(cached, dict) else {}


def _names(tree: ast.AST, package: str) -> Iterator[str]:
    """Yields the dotted names that a file imports, or names in a string."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                around = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*around, *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            name = node.value.partition(":")[0]
            if len(name) < 100 and all(part.isidentifier() for part in name.split(".")):
                yield f"{IN_STRING}{name}"
        elif isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.Constant):
            begin = str(node.values[0].value)
            if begin.endswith(".") and all(part.isidentifier() for part in begin[:-1].split(".")):
                yield f"{IN_STRING}{begin}*"


def _is_room(name: str) -> bool:
    return any(room.folder == f"tests/{name}" for room in ROOMS)


def _python_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*.py"):
        if not SKIPPED & set(path.parts):
            yield path


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
