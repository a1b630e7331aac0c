"""The tutorials of the docs, followed word by word in one shell beside a server of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from running_studio import PROGRAM, running_studio

sys.path.insert(0, str(Path(__file__).parents[1] / "project"))

from command_blocks import ROOT, Command, blocks, shows

WRITTEN_URL, WRITTEN_SAFE_PLACE = "http://127.0.0.1:8000", "/tmp/elsewhere"
END_OF_COMMAND = "-- end of command, status "


def tutorial(page: str, test: str) -> list[Command]:
    """Returns the commands of the page's blocks that name `test`."""
    named = f"tests/app/test_tutorials.py::{test}"
    found = [block for block in blocks(ROOT / page) if block.tested == [named]]
    return [command for block in found for command in block.commands()]


def follow(commands: list[Command], folder: Path, url: str = WRITTEN_URL) -> list[str]:
    """Runs the commands in one shell; returns what differs from the page, empty when nothing does."""
    safe_place = folder.parent / "elsewhere"
    safe_place.mkdir()
    script = "".join(f"{command.text}\nprintf '\\n{END_OF_COMMAND}%s\\n' $?\n" for command in commands)
    script = script.replace(WRITTEN_URL, url).replace(WRITTEN_SAFE_PLACE, str(safe_place))
    path = f"{PROGRAM.parent}:{os.environ['PATH']}"
    ended = subprocess.run(
        ["bash", "-s"],
        input=script,
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=540,
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
        wrong += [
            f"{command.text}: not shown: {one}\n{output}" for one in command.printed if not shows(output, one)
        ]
        printed = []
    return wrong + [f"not run: {command.text}" for command in left]


@pytest.mark.parametrize(("status", "shown"), [("false", []), ("echo one", ["two"])])
def test_a_step_that_fails_or_prints_something_else_is_named(
    status: str, shown: list[str], tmp_path: Path, home: Path
) -> None:
    (tmp_path / "empty").mkdir()
    wrong = follow([Command(status, shown)], tmp_path / "empty")
    assert len(wrong) == 1 and wrong[0].startswith(status)


@pytest.mark.timeout(600)
def test_the_tutorial_of_the_api(tmp_path: Path, home: Path) -> None:
    commands = tutorial("docs/guide/api.md", "test_the_tutorial_of_the_api")
    assert len(commands) > 8
    folder = tmp_path / "studio"
    folder.mkdir()
    with running_studio(folder) as studio:
        assert follow(commands, folder, studio.url) == []
    assert (folder / "greeting.mp4").stat().st_size > 10_000


@pytest.mark.timeout(600)
def test_the_tutorial_of_an_operator(tmp_path: Path, home: Path) -> None:
    commands = tutorial("docs/guide/operating.md", "test_the_tutorial_of_an_operator")
    assert len(commands) > 10
    folder = tmp_path / "studio"
    folder.mkdir()
    with running_studio(folder) as studio:
        assert follow(commands, folder, studio.url) == []
    assert (folder / "rehearsal/state/soundstage.db").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tutorial_of_the_first_video(tmp_path: Path, home: Path) -> None:
    commands = tutorial("docs/guide/first-video.md", "test_the_tutorial_of_the_first_video")
    assert len(commands) == 5
    folder = tmp_path / "studio"
    folder.mkdir()
    assert follow(commands, folder) == []
    assert len(list(folder.rglob("*.mp4"))) >= 4
