"""Follows the check-list “Add a tool” of CONTRIBUTING.md in a copy of the checkout."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE = '''"""The tool that rolls a die."""

from __future__ import annotations

from agent.presentation import Blocks, page
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool


class RollDie(ToolRequest):
    pass


class DieRolled(ToolResult):
    number: int

    def presentation(self) -> Blocks:
        return page(f"The die shows {self.number}.")


@tool(Act("read", "self:read", label="Roll the die"))
async def roll_die(context: ToolContext, request: RollDie) -> DieRolled:
    """Roll a die."""
    return DieRolled(number=4)
'''
GRAMMAR = """language: en
intents:
  RollDie:
    data:
      - sentences: ["[please] roll (the|a) die"]
        metadata:
          tool: roll_die
          help: Roll a die.
          examples: ["Roll the die"]
"""
UTTERANCES = """roll_die:
  - "Roll the die": {}
  - "please roll a die"
"""
TEST = '''"""The tool that rolls a die."""

from agent.tools import ALL_TOOLS
from agent.tools.dice import DieRolled


def test_a_die_says_what_it_shows() -> None:
    assert "roll_die" in [tool.name for tool in ALL_TOOLS]
    assert DieRolled(number=4).sentence() == "The die shows 4."
'''
FILES = {
    "agent/tools/dice.py": MODULE,
    "agent/grammar/dice.en.yaml": GRAMMAR,
    "tests/agent/phrasings/dice.yaml": UTTERANCES,
    "tests/agent/test_dice.py": TEST,
}
GENERATED = {"policy/rego/tools.json", "ui/src/kit/labels.json", "docs/reference/permissions.md", "README.md"}


def _digests(checkout: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(checkout)): hashlib.sha256(path.read_bytes()).digest()
        for path in checkout.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """A copy with the new tool, after `make docs`, and the names of the files that differ from before.

    The checkout itself is not compared: another room may write `tests/cached_results.json` meanwhile.
    """
    copy = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    before = _digests(copy)
    for name, text in FILES.items():
        (copy / name).write_text(text, encoding="utf-8")
    _run(copy, "scripts/docs_generate.py")
    changed = {name for name, digest in _digests(copy).items() if before.get(name) != digest}
    return copy, changed


def _run(checkout: Path, *arguments: str) -> str:
    """Runs this Python in the copy, whose packages come before those of the checkout."""
    paths = os.pathsep.join([str(checkout), str(checkout / "avatar" / "src")])
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_a_tool_takes_four_files_and_what_is_generated(checkout: tuple[Path, set[str]]) -> None:
    copy, changed = checkout
    assert changed == {*FILES, *GENERATED}
    rules = json.loads((copy / "policy/rego/tools.json").read_text())["tools"]
    assert rules["roll_die"] == {"permission": "self:read", "effect": "read"}
    assert json.loads((copy / "ui/src/kit/labels.json").read_text())["roll_die"] == "Roll the die"


@pytest.mark.slow
def test_a_new_tool_passes_the_checks_that_it_can_reach(checkout: tuple[Path, set[str]]) -> None:
    copy, _ = checkout
    _run(copy, "-m", "ruff", "check", *(name for name in FILES if name.endswith(".py")))
    _run(copy, "scripts/docs_generate.py", "--check")
    tests = ["tests/agent/test_dice.py", "tests/agent/test_phrasings.py", "tests/app/test_permissions.py"]
    names = ["test_injection", "test_left_out_arguments", "test_strange_arguments", "test_dry_runs"]
    more = [f"tests/agent/{name}.py" for name in names]
    _run(copy, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", *tests, *more)
