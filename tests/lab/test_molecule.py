"""Molecule's scenarios run in the lab; the smallest of them proves the way from create to destroy."""

from __future__ import annotations

import os
import re
import subprocess
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


@pytest.mark.parametrize("scenario", _SCENARIOS)
def test_a_scenario_needs_no_variables_but_the_engines_that_its_role_installs(scenario: str) -> None:
    text = (_ROOT / "molecule" / scenario / "molecule.yml").read_text()
    expected = set(re.findall(r"\$\{?([A-Z0-9_]+)\}", text)) | set(re.findall(r"\$([A-Z][A-Z0-9_]*)", text))
    engines = {name for name in expected if re.fullmatch(r"SOUNDSTAGE_(NOMAD|CONSUL)(_SHA256)?", name)}
    assert {name for name in expected - engines if not name.startswith("MOLECULE_")} == set()


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["lab", "common"])
def test_a_scenario_runs_plainly_from_create_to_destroy(scenario: str) -> None:
    if missing := what_is_missing():
        pytest.skip(f"{missing} Run `sudo make test-long`.")
    if not (_ANSIBLE / "molecule").exists():
        pytest.skip("needs Molecule: make setup-farm")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SOUNDSTAGE")}
    done = subprocess.run(
        [_ANSIBLE / "molecule", "test", "--scenario-name", scenario],
        cwd=_ROOT,
        env={**plain, "PATH": f"{_ANSIBLE}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert not Lab(f"molecule-{scenario}").exists()
