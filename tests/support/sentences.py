"""Compares sentences with those in one file a room, `tests/ROOM/sentences.json`.

A pytest plugin, which tests/conftest.py registers.

`assert reply == snapshot("drained", node=node)` compares with the entry `drained` of the test's file, in
which `{node}` stands for the value. `scripts/test --renew-sentences` runs the tests that use it, writes what
they got, and drops entries that no test names; tests/project/test_sentences.py finds those, too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

FILE = "sentences.json"
RENEW = "--renew-sentences"
# By the test's file, and in that by name; several lines are a list.
Entries = dict[str, dict[str, str | list[str]]]
SentenceSnapshot = Callable[..., str]
_NAMED = re.compile(r'\bsnapshot\(\s*"([^"]+)"')
_ROOMS = pytest.StashKey[dict[Path, "Sentences"]]()


class Sentences:
    """Keeps the sentences of one room."""

    def __init__(self, room: Path) -> None:
        self.room = room
        path = room / FILE
        self.entries: Entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self._renewed: set[tuple[str, str]] = set()

    def read(self, test: Path, name: str, values: dict[str, object]) -> str:
        """Returns the sentence with these values in it; fails the test when there is none."""
        entry = self.entries.get(_key(self.room, test), {}).get(name)
        if entry is None:
            pytest.fail(f"{self.room / FILE} has no {name!r} of {test.name}: scripts/test {RENEW}")
        text = entry if isinstance(entry, str) else "\n".join(entry)
        for key, value in values.items():
            text = text.replace(f"{{{key}}}", str(value))
        return text

    def renew(self, test: Path, name: str, values: dict[str, object], got: str) -> bool:
        """Keeps what a test got; returns False when it got something else before under this name."""
        file = _key(self.room, test)
        if (file, name) in self._renewed:
            return self.read(test, name, values) == str(got)
        self._renewed.add((file, name))
        # The longest first: it may hold another one.
        for key, value in sorted(values.items(), key=lambda item: -len(str(item[1]))):
            got = got.replace(str(value), f"{{{key}}}")
        self.entries.setdefault(file, {})[name] = got.split("\n") if "\n" in got else got
        return True

    def write(self) -> None:
        """Writes the file without entries that no test names."""
        for file, names in find_unused(self.room, self.entries).items():
            left = {name: text for name, text in self.entries.pop(file).items() if name not in names}
            self.entries |= {file: left} if left else {}
        path = self.room / FILE
        if self.entries:
            text = json.dumps(self.entries, ensure_ascii=False, indent=1, sort_keys=True)
            path.write_text(text + "\n", encoding="utf-8")
        else:
            path.unlink(missing_ok=True)


class _Any(str):
    """Equals the first text that it is compared with, and renews its entry."""

    keep: Callable[[str], bool]
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.keep(other)


def find_unused(room: Path, entries: Entries) -> dict[str, set[str]]:
    """Returns the names that their test file does not name, by file."""
    found = {file: names.keys() - _names_in(room / file) for file, names in entries.items()}
    return {file: names for file, names in found.items() if names}


def _names_in(test: Path) -> set[str]:
    return set(_NAMED.findall(test.read_text(encoding="utf-8"))) if test.exists() else set()


def _key(room: Path, test: Path) -> str:
    return test.relative_to(room).as_posix()


def add_options(parser: pytest.Parser) -> None:
    parser.addoption(RENEW, action="store_true", help=f"write what tests got into tests/ROOM/{FILE}")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ROOMS] = {}
    if config.getoption(RENEW) and (os.environ.get("CI") or hasattr(config, "workerinput")):
        raise pytest.UsageError(f"{RENEW} works in one process of one's own, and not in CI")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out files that name no sentence while sentences are renewed."""
    of_tests = collection_path.is_file() and collection_path.suffix == ".py"
    return True if config.getoption(RENEW) and of_tests and not _names_in(collection_path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption(RENEW):
        items[:] = [item for item in items if "snapshot" in getattr(item, "fixturenames", ())]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption(RENEW):
        for sentences in session.config.stash[_ROOMS].values():
            sentences.write()


@pytest.fixture
def snapshot(request: pytest.FixtureRequest) -> SentenceSnapshot:
    """Returns the sentence of a name: `assert reply == snapshot("drained", node=node)`."""
    test, rooms = request.path, request.config.stash[_ROOMS]
    tests = next(folder for folder in test.parents if folder.name == "tests")
    room = tests / test.relative_to(tests).parts[0]
    sentences = rooms.setdefault(room, Sentences(room)) if room not in rooms else rooms[room]

    def sentence(name: str, /, **values: object) -> str:
        if not request.config.getoption(RENEW):
            return sentences.read(test, name, values)
        anything = _Any(f"({name})")
        anything.keep = lambda got: sentences.renew(test, name, values, got)
        return anything

    return sentence
