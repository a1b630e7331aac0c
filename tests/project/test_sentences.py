"""Sentences that tests compare stand in one file a room; one command renews them, and each has its test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sentences import FILE, RENEW, find_unused

TESTS = Path(__file__).parents[1]
CONFTEST = f"""
import sys
sys.path.insert(0, {str(TESTS / "support")!r})
import sentences
def pytest_addoption(parser): sentences.add_options(parser)
def pytest_configure(config): config.pluginmanager.register(sentences)
"""
COMPARES = """
def test_drained(snapshot):
    node = "cpu-7"
    assert f"{node} takes no work." == snapshot("drained", node=node)
    assert ("first\\nsecond line", 1) == (snapshot(
        "lines"
    ), 1)
"""
ENTRIES = {"test_nodes.py": {"drained": "{node} takes no work.", "lines": ["first", "second line"]}}


@pytest.mark.parametrize("file", sorted(TESTS.glob(f"*/{FILE}")), ids=lambda file: file.parent.name)
def test_each_sentence_is_compared_by_a_test(file: Path) -> None:
    unused = find_unused(file.parent, json.loads(file.read_text(encoding="utf-8")))
    assert not unused, f"no test names them; scripts/test {RENEW} drops them"


class Room:
    """One room of tests with its own pytest."""

    def __init__(self, folder: Path) -> None:
        (folder / "conftest.py").write_text(CONFTEST)
        self.root = folder
        self.folder = folder / "tests" / "farm"
        self.folder.mkdir(parents=True)
        self.test(COMPARES)

    def test(self, text: str) -> None:
        (self.folder / "test_nodes.py").write_text(text)

    def sentences(self) -> dict[str, dict[str, object]]:
        return json.loads((self.folder / FILE).read_text(encoding="utf-8"))

    def run(self, *arguments: str, **variables: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, "."]
        # Without the plugins that are installed, which take a second to load.
        environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": "/usr/bin:/bin", **variables}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_one_command_writes_what_tests_got_and_drops_what_none_names(room: Room) -> None:
    code, output = room.run()
    assert code == 1 and f"has no 'drained' of test_nodes.py: scripts/test {RENEW}" in output
    left = {"test_gone.py": {"old": "It is gone."}, "test_nodes.py": {"stopped": "It stops.", "lines": "x"}}
    (room.folder / FILE).write_text(json.dumps(left))
    assert find_unused(room.folder, left) == {"test_gone.py": {"old"}, "test_nodes.py": {"stopped"}}
    assert room.run(RENEW)[0] == 0 and room.sentences() == ENTRIES
    written = (room.folder / FILE).read_bytes()
    assert room.run()[0] == 0 and room.run(RENEW)[0] == 0
    assert (room.folder / FILE).read_bytes() == written


def test_another_sentence_fails_with_both_and_nothing_is_written(room: Room) -> None:
    room.run(RENEW)
    room.test(COMPARES.replace("no work", "no more work"))
    code, output = room.run()
    assert code == 1 and room.sentences() == ENTRIES
    # pytest's own difference of two texts.
    assert "- cpu-7 takes no work." in output and "+ cpu-7 takes no more work." in output
    assert room.run(RENEW)[0] == 0
    assert room.sentences()["test_nodes.py"]["drained"] == "{node} takes no more work."


def test_other_tests_stand_still_while_sentences_are_renewed(room: Room) -> None:
    room.test(COMPARES + "def test_other(): assert 0\n")
    (room.folder / "test_broken.py").write_text("raise RuntimeError\n")
    assert room.run(RENEW)[0] == 0


def test_one_name_has_one_sentence(room: Room) -> None:
    room.test('def test_two(snapshot):\n    for it in ("One.", "Two."): assert it == snapshot("it")\n')
    assert room.run(RENEW)[0] == 1


def test_ci_renews_nothing(room: Room) -> None:
    code, output = room.run(RENEW, CI="true")
    assert code == pytest.ExitCode.USAGE_ERROR and "not in CI" in output and not (room.folder / FILE).exists()
