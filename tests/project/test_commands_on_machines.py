"""Every `soundstage …` that roles, playbooks, jobs and scenarios run or name is a command of today."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from command_blocks import ROOT, calls
from named_commands import fault

_FOLDERS = ("inventory", "jobs", "molecule", "ansible/playbooks", "ansible/plugins", "ansible/roles")
_KINDS = {".md", ".yaml", ".yml", ".j2", ".hcl"}
# Code in a comment or a README, and in what a role says of its variables.
_CODE = re.compile(r"`([^`]+)`|\bC\(([^)]+)\)")


def files() -> list[Path]:
    return [
        path
        for folder in _FOLDERS
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in _KINDS and path.is_file()
    ]


def named(path: Path) -> Iterator[list[str]]:
    """The words of each command in a code span, and of each list such as `[…/bin/soundstage, restore]`."""
    text = path.read_text(encoding="utf-8")
    lines = " ".join(re.sub(r"^\s*#", "", line) for line in text.splitlines())
    for found in _CODE.finditer(lines):
        code = " ".join((found[1] or found[2]).split())
        if code.startswith("soundstage "):
            yield from calls(code)

    def lists(node: Any) -> Iterator[list[str]]:
        if isinstance(node, dict):
            for value in node.values():
                yield from lists(value)
        elif isinstance(node, list):
            for number, word in enumerate(node):
                if isinstance(word, str) and word.endswith("/soundstage"):
                    yield ["soundstage", *map(str, node[number + 1 :])]
                else:
                    yield from lists(word)

    # The ports of a role are a template, which becomes YAML.
    if path.suffix in {".yaml", ".yml"} and path.name != "ports.yml":
        yield from lists(list(yaml.load_all(text, Loader=yaml.BaseLoader)))


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_machine_is_told_to_run_is_a_command_of_today(path: Path) -> None:
    wrong = {
        " ".join(words): found for words in named(path) if (found := fault(words, whole=False)) is not None
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# run `soundstage restored` first\n", "no command"),
        ("a: [runuser, --, '{{ x }}/bin/soundstage', --config-file, /etc/x.toml, restored]\n", "no command"),
        ("a:\n  - [x/soundstage, restore, --finis]\n", "No such option"),
        ("says: needs C(soundstage machines\n  lands).\n", "no command"),
        ("a: [x/soundstage, restore, --finish]   # as `soundstage lab …` does\n", ""),
    ],
)
def test_what_is_named_wrongly_is_found(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "main.yml"
    path.write_text(text)
    said = [fault(words, whole=False) for words in named(path)]
    assert (found in " ".join(filter(None, said))) if found else said in ([None], [None, None])
