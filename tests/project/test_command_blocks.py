"""Each command block of the docs is run, here or by another test, or says what it needs."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from command_blocks import NEEDS, ROOT, Block, Command, blocks, calls, inline_commands, pages, shows
from named_commands import fault, routes

from app.cli.main import run_cli

WORKER = ROOT / "avatar/.venv/bin/avatar"
LIMIT_S = 240
BLOCKS = [block for page in pages() for block in blocks(page)]
RUN = sorted({block.page for block in BLOCKS if block.is_run_here})


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("soundstage rendr x", "no command"),
        ("soundstage render --scipt x", "No such option"),
        ("soundstage keys create", "name is missing"),
        ("soundstage lipsync a.mp4 b.wav --engine other", "none of"),
        ("KEY=$(soundstage keys mak) curl -s https://x", "no command"),
        ("cd avatar && avatar lipsync --vidio in.mp4", "unrecognized arguments"),
        ("soundstage lab exec -- ansible-playbook ansible/playbooks/none.yaml", "there is no"),
        ("sudo make tets", "no verb"),
        ("curl -s localhost:8000/api/sesion -d '{}'", "no route /api/sesion"),
        ("curl -s localhost:8000/api/renders/ID/events https://example.org/api", None),
        ("scripts/bench nothing", "there is no bench/nothing.py"),
        ("scripts/test --olny lab", "takes no --olny"),
        ("scripts/eval --way reader --hlaf dev", "takes no --hlaf"),
        ("nomad job run -var comand=x jobs/render.nomad.hcl", "no variable"),
        ("soundstage render spec.json --title … && make demo; soundstage lab exec -- nproc", None),
    ],
)
def test_what_does_not_exist_is_found_in_a_command(text: str, wrong: str | None) -> None:
    found = [one for words in calls(text) if (one := fault(words)) is not None]
    assert found == [] if wrong is None else wrong in " ".join(found)


def test_a_block_is_read_with_its_mark_its_commands_and_what_they_print(tmp_path: Path) -> None:
    block = Block("page.md", 1, lines=["$ soundstage ask \\", '    "help"', "a line", "# id", "…"])
    assert block.commands() == [Command('soundstage ask  "help"', ["a line"]), Command("id", ["…"])]


def test_every_command_that_the_docs_name_exists() -> None:
    named = [(block.where, command.text, True) for block in BLOCKS for command in block.commands()]
    named += [(where, code, False) for page in pages() for where, code in inline_commands(page)]
    assert len(named) > 200
    wrong = [
        f"{where}: {text}: {found}"
        for where, text, whole in named
        for words in calls(text)
        if (found := fault(words, whole=whole)) is not None
    ]
    assert wrong == []


# Asked for and not there: docs/replacements.md says so.
NOT_THERE = {"/api/voice/session"}


def test_every_route_that_the_docs_name_exists() -> None:
    named = re.compile(r"`(?:GET|POST|PUT|PATCH|DELETE)(?:\|[A-Z]+)* (/[^ ?`…]*)[ ?`]")
    found = {
        (str(page.relative_to(ROOT)), path)
        for page in pages()
        for path in named.findall(page.read_text(encoding="utf-8"))
    }
    assert len(found) > 50
    wrong = {
        (page, path)
        for page, path in found
        if path not in NOT_THERE and not any(route.fullmatch(path) for route in routes())
    }
    assert wrong == set()


def test_every_mark_is_one_that_people_know() -> None:
    wrong = [f"{block.where}: {need}" for block in BLOCKS for need in block.needs if need not in NEEDS]
    assert wrong == [], f"known are: {', '.join(NEEDS)}"


def test_every_block_holds_a_command_or_says_what_it_needs() -> None:
    assert [block.where for block in BLOCKS if block.is_run_here and not block.commands()] == []


def test_every_test_that_a_mark_names_is_there() -> None:
    for block in BLOCKS:
        for name in block.tested:
            file, _, function = name.partition("::")
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            names = {
                node.name
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            assert function in names, f"{block.where}: {name}"


def test_every_mark_stands_above_a_command_block() -> None:
    for page in pages():
        marks = len(re.findall(r"^ *<!-- (?:needs|tested): ", page.read_text(encoding="utf-8"), re.MULTILINE))
        assert marks == sum(not block.is_run_here for block in blocks(page)), page


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder and environment of somebody who follows one page, with nothing of ours set."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    for name in list(os.environ):
        if name.startswith(("XDG_", "SOUNDSTAGE_", "AVATAR_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    return home


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("page", RUN)
def test_blocks_without_a_mark_run_from_the_first_to_the_last(
    page: str, reader: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for beside in (ROOT / page).parent.glob("*.json"):
        shutil.copy(beside, reader)
    for block in BLOCKS:
        if block.page == page and block.is_run_here:
            for command in block.commands():
                capfd.readouterr()
                code = _run(command.text, block.where)
                printed = "".join(capfd.readouterr()).replace(str(reader), "~")
                assert code == 0, f"{block.where}: {command.text}\n{printed}"
                missing = [line for line in command.printed if not shows(printed, line)]
                assert missing == [], f"{block.where}: {command.text}\n{printed}"


def _run(text: str, where: str) -> int:
    words = shlex.split(text, comments=True)
    program = Path(words[0]).name
    if program == "soundstage":
        # In this process: starting anew costs seconds of processor time for each of them.
        return run_cli(words[1:])
    assert program == "avatar", f"{where}: mark the block with what {program} needs, or the test that runs it"
    return subprocess.run([WORKER, *words[1:]], timeout=LIMIT_S, check=False).returncode


def test_a_shown_line_is_compared_with_what_was_printed() -> None:
    assert shows("a  b c\nd\n", "a b …") and shows("x\n", "…")
    assert not shows("a b c\n", "a b") and not shows("", "a")


def test_some_blocks_are_run() -> None:
    commands: Iterator[Command] = (one for block in BLOCKS if block.is_run_here for one in block.commands())
    assert len(list(commands)) > 15
