"""The deploy agent's own tests, which are in Go beside it, as part of this project's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

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


def test_the_controller_compiles_it_without_a_package_of_python(tmp_path: Path) -> None:
    """As the role provisioning_api does. -S: nothing but the standard library is found."""
    command = [sys.executable, "-S", "-B", "-m", "pxe.image.agent_program"]
    without_go = {"PATH": str(tmp_path), "SOUNDSTAGE_IMAGE_CACHE": str(tmp_path)}
    done = subprocess.run(command, cwd=SOURCE.parents[1], env=without_go, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("image.programs_missing: The program go")
    program = agent_program()
    done = subprocess.run(command, cwd=SOURCE.parents[1], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{program}\n"), done.stderr


@pytest.mark.timeout(900)
def test_the_agent_is_static_and_says_how_it_is_used() -> None:
    try:
        program = agent_program()
    except SoundstageError as error:
        pytest.skip(f"{error.message} {error.hint}")
    assert b"ld-linux" not in program.read_bytes()
    done = subprocess.run([program, "format-my-disk"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.startswith("usage: agent call-home")) == (2, True)
