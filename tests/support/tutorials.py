"""Follows the command blocks of a page word by word, in one shell, and compares what is printed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "project"))

from command_blocks import ROOT, Command, blocks, shows

__all__ = ["Command", "follow", "tutorial"]

PROGRAMS = Path(sys.executable).parent
END_OF_COMMAND = "-- end of command, status "


def tutorial(page: str, test: str) -> list[Command]:
    """Returns the commands of the page's blocks that name `test`, a pytest id."""
    found = [block for block in blocks(ROOT / page) if block.tested == [test]]
    return [command for block in found for command in block.commands()]


def follow(
    commands: list[Command], folder: Path, replaced: Mapping[str, str] | None = None, *, limit_s: float = 540
) -> list[str]:
    """Runs the commands in one shell in `folder`; returns what differs from the page.

    `replaced`: texts of the page, such as an address, and what stands in their place here.
    """
    script = "".join(f"{command.text}\nprintf '\\n{END_OF_COMMAND}%s\\n' $?\n" for command in commands)
    for written, here in (replaced or {}).items():
        script = script.replace(written, here)
    ended = subprocess.run(
        ["bash", "-c", script],
        # A command that reads, as ssh does, must not read the commands that follow.
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit_s,
    )
    wrong: list[str] = []
    printed: list[str] = []
    left = list(commands)
    for line in ended.stdout.splitlines():
        if not line.startswith(END_OF_COMMAND):
            printed.append(line)
            continue
        command, output = left.pop(0), "\n".join(printed)
        if line != f"{END_OF_COMMAND}0":
            wrong.append(f"{command.text}: {line}\n{output}")
        missing = [one for one in command.printed if not shows(output, one)]
        wrong += [f"{command.text}: not shown: {one}\n{output}" for one in missing]
        printed = []
    return wrong + [f"not run: {command.text}" for command in left]
