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

from command_blocks import ROOT, blocks, calls, inline_commands, pages
from named_commands import fault

from app.cli.commands import COMMANDS

_FOLDERS = ("inventory", "jobs", "molecule", "ansible/playbooks", "ansible/plugins", "ansible/roles")
_KINDS = {".md", ".yaml", ".yml", ".j2", ".hcl"}
# Code in a comment or a README, and in what a role says of its variables.
_CODE = re.compile(r"`([^`]+)`|\bC\(([^)]+)\)")
# Options of the root command that take a value.
_WITH_VALUE = ("--config-file", "-c", "--server")
# Tells of the old name.
_OF_OLD_NAMES = "docs/guide/command-line.md"


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


def old_name(words: list[str]) -> str | None:
    """What a command is called now that is called by an old name; else None."""
    rest = iter(words[1:] if Path(words[0]).name == "soundstage" else [])
    for word in rest:
        if word in _WITH_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            entry = COMMANDS.get(word)
            return f"`soundstage {entry.moved_to}` now" if entry is not None and entry.moved_to else None
    return None


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_machine_is_told_to_run_is_a_command_of_today(path: Path) -> None:
    wrong = {
        " ".join(words): found
        for words in named(path)
        if (found := old_name(words) or fault(words, whole=False)) is not None
    }
    assert wrong == {}


def test_the_docs_name_no_command_by_its_old_name() -> None:
    told = [
        (block.where, command.text)
        for block in (one for page in pages() for one in blocks(page))
        for command in block.commands()
    ]
    told += [(where, code) for page in pages() for where, code in inline_commands(page)]
    wrong = [
        f"{where}: {text}"
        for where, text in told
        for words in calls(text)
        if old_name(words) is not None and not where.startswith(_OF_OLD_NAMES)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# run `soundstage restored` first\n", "`soundstage restore --finish` now"),
        ("a: [runuser, --, '{{ x }}/bin/soundstage', --config-file, /etc/x.toml, restored]\n", "now"),
        ("a:\n  - [x/soundstage, restore, --finis]\n", "No such option"),
        ("says: needs C(soundstage machines\n  lands).\n", "no command"),
        ("a: [x/soundstage, restore, --finish]   # as `soundstage lab …` does\n", ""),
    ],
)
def test_what_is_named_wrongly_is_found(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "main.yml"
    path.write_text(text)
    said = [old_name(words) or fault(words, whole=False) for words in named(path)]
    assert (found in " ".join(filter(None, said))) if found else said in ([None], [None, None])
