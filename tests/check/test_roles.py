"""ansible-lint finds nothing in roles, playbooks and scenarios; run by scripts/check.

It asks Ansible for the syntax of each of fifty playbooks, in a process each: 80 processor seconds.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "ansible" / ".venv" / "bin"
# `ansible` holds the lock of its version.
pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.cached(
        "ansible", "ansible.cfg", "playbook.yaml", "inventory", "molecule", ".config", ".gitignore"
    ),
]


def test_ansible_lint_finds_nothing() -> None:
    run = subprocess.run(
        [PROGRAMS / "ansible-lint", "--nocolor", "-q"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
