"""`scripts/words.py` finds banned words in names, and its allow-list only shrinks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "words.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("checked_words", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


words = _load()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    return tmp_path


def _run(tree: Path, *arguments: str) -> int:
    return int(words.main([*arguments, "--tree", str(tree)]))


def _baseline(tree: Path) -> str:
    return (tree / words.BASELINE).read_text()


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("def send(told): ...", "names"),
        ("def _what_was_kept(): ...", "names"),
        ("class ToolDoors: ...", "names"),
        ("given_at = 1", "names"),
        ("for desk in (): ...", "names"),
        ("self.in_the_tower = 1", "names"),
        ("import json as ledger", "names"),
        ("flights = []", "names"),
        ("def written(): ...", "participles"),
        ("class File:\n    async def opened_by(self): ...", "participles"),
        ('def send():\n    "What was sent."', "docstrings"),
        ('class Sent:\n    "Whether it was sent."', "docstrings"),
        ('"How it is sent."', "docstrings"),
    ],
)
def test_a_word_that_the_glossary_bans_is_found(code: str, rule: str) -> None:
    assert [finding.rule for finding in words.python_findings("a.py", code)] == [rule]


@pytest.mark.parametrize(
    "code",
    [
        "def needs_more(storyboard, in_flight): ...",
        "def feed(): 'Returns what was kept.'",
        "def test_a_story_that_was_told(): ...",
        "def _written(): ...",
        "class File:\n    @property\n    def closed(self): 'Whatsoever.'",
        "send(told=1)",
    ],
)
def test_words_of_the_field_pass(code: str) -> None:
    assert list(words.python_findings("a.py", code)) == []


def test_names_of_modules_and_of_typescript_are_found() -> None:
    assert [f.text for f in words.python_findings("farm/ledger.py", "")] == ["ledger"]
    assert [f.text for f in words.python_findings("farm/desk/__init__.py", "")] == ["desk"]
    text = "export const asked = 1;\nimport Told from './x'\nconst storyboard = 2;"
    assert [f.text for f in words.typescript_findings("ui/src/kit/Told.tsx", text)] == [
        "Told",
        "asked",
        "Told",
    ]


def test_more_than_the_list_allows_fails_and_the_list_refuses_it(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / words.BASELINE).write_text("a.py names=1\n")
    (tree / "a.py").write_text("told = 1\nkept = 2\n")

    assert _run(tree) == 1
    assert "a.py:2 names: kept" in capsys.readouterr().out
    assert _run(tree, "--write") == 1
    assert _baseline(tree) == "a.py names=1\n"


def test_the_list_has_to_be_lowered_when_names_are_gone(tree: Path) -> None:
    (tree / words.BASELINE).write_text("a.py names=2\nb.py docstrings=1\n")
    (tree / "a.py").write_text("told = 1\n")

    assert _run(tree) == 1
    assert _run(tree, "--write") == 0
    assert _baseline(tree) == "a.py names=1\n"
    assert _run(tree) == 0


def test_names_may_move_with_their_file_but_not_grow_on_the_way(tree: Path) -> None:
    (tree / words.BASELINE).write_text("a.py names=2\n")
    (tree / "b.py").write_text("told = 1\nkept = 2\n")
    assert _run(tree) == 1
    assert _run(tree, "--write") == 0
    assert _baseline(tree) == "b.py names=2\n"

    (tree / "b.py").unlink()
    (tree / "c.py").write_text("told = 1\nkept = 2\nasked = 3\n")
    assert _run(tree, "--write") == 1


def test_a_count_of_one_rule_does_not_pay_for_another(tree: Path) -> None:
    (tree / words.BASELINE).write_text("a.py names=2\n")
    (tree / "a.py").write_text("def written(): ...\n")

    assert _run(tree, "--write") == 1


def test_what_is_installed_or_built_is_not_read(tree: Path) -> None:
    for folder in (".venv", "ui/node_modules"):
        (tree / folder).mkdir(parents=True)
        (tree / folder / "a.py").write_text("told = 1\n")

    assert _run(tree) == 0
