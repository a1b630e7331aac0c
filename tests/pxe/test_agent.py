"""The deploy agent's own tests, which are in Go beside it, as part of this project's."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pxe.image.agent_program import SOURCE, agent_program
from soundstage.errors import SoundstageError

pytestmark = pytest.mark.skipif(
    shutil.which("go") is None, reason="Go 1.26 or newer is missing: https://go.dev/dl"
)


@pytest.mark.timeout(900)
def test_the_agent_writes_nothing_that_nobody_vouches_for_and_trusts_nobody_else() -> None:
    done = subprocess.run(
        ["go", "test", "-count=1", "./..."], cwd=SOURCE, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(900)
def test_the_agent_is_vetted_and_formatted() -> None:
    for command in (["go", "vet", "./..."], ["gofmt", "-l", "."]):
        done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, timeout=900)
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.timeout(900)
def test_the_agent_is_static_and_says_how_it_is_used() -> None:
    try:
        program = agent_program()
    except SoundstageError as error:
        pytest.skip(f"{error.message} {error.hint}")
    assert b"ld-linux" not in program.read_bytes()
    done = subprocess.run([program, "format-my-disk"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.startswith("usage: agent call-home")) == (2, True)
