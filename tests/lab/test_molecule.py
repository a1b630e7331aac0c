"""Molecule's scenarios run in the lab; the smallest of them proves the way from create to destroy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lab.cards.catalogue import read_gpus
from lab.farm_in_a_box import Lab
from lab.plan import machines_named
from lab.requirements import what_is_missing

_ROOT = Path(__file__).parents[2]
_ANSIBLE = _ROOT / "ansible" / ".venv" / "bin"
_SCENARIOS = sorted(path.parent.name for path in (_ROOT / "molecule").glob("*/molecule.yml"))


@pytest.mark.parametrize("scenario", _SCENARIOS)
def test_the_machines_of_every_scenario_are_ones_that_the_lab_can_make(scenario: str) -> None:
    machines = yaml.safe_load((_ROOT / "molecule" / scenario / "molecule.yml").read_text())["platforms"]
    cards = read_gpus(",".join(str(one.get("gpus", "0")) for one in machines))
    assert len(machines_named([one["name"] for one in machines], cards)) == len(machines)


@pytest.mark.root
@pytest.mark.slow
def test_the_smallest_scenario_from_create_to_destroy() -> None:
    if missing := what_is_missing():
        pytest.skip(f"{missing} Run `sudo make test-long`.")
    if not (_ANSIBLE / "molecule").exists():
        pytest.skip("needs Molecule: (cd ansible && uv sync --locked)")
    done = subprocess.run(
        [_ANSIBLE / "molecule", "test", "--scenario-name", "lab"],
        cwd=_ROOT,
        env={
            **os.environ,
            "PATH": f"{_ANSIBLE}:{os.environ['PATH']}",
            "SOUNDSTAGE": str(Path(sys.executable).parent / "soundstage"),
        },
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert not Lab("molecule-lab").exists()
