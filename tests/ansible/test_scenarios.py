"""Each role alone, by its Molecule scenario: first run, second run, dry run, verify."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from farm_in_lab import ROOT

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(3600)]
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_holds(scenario: str, engines: dict[str, Path]) -> None:
    if os.geteuid() != 0:
        pytest.skip("the lab needs root: sudo make test-long")
    done = subprocess.run(
        ["scripts/molecule", scenario], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
