"""Fixtures of the Ansible tests: Ansible's own environment, and one farm on the lab that is set up once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from farm_in_lab import ANSIBLE, ROOT, LabFarm

from lab.cards.catalogue import read_gpus
from lab.farm_in_a_box import Lab
from lab.plan import machines_named


@pytest.fixture(scope="session")
def ansible_environment() -> Path:
    if not (ANSIBLE / "ansible-playbook").exists():
        pytest.skip("Ansible's environment is not made: scripts/setup test")
    return ANSIBLE


@pytest.fixture(scope="session")
def engines(ansible_environment: Path) -> dict[str, Path]:
    """The built Nomad and Consul."""
    done = subprocess.run([ROOT / "tools" / "build", "nomad", "consul"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"Nomad and Consul cannot be built: {done.stderr.strip()}")
    return {name: Path(path) for name, path in (line.split("\t") for line in done.stdout.splitlines())}


@pytest.fixture(scope="session")
def farm(engines: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabFarm]:
    """One control machine and two workers, one with two fake cards; bare until a test sets them up."""
    if os.geteuid() != 0:
        pytest.skip("the lab needs root: sudo make test")
    lab = Lab("ansible-tests")
    lab.down()
    groups = {"control": ["control-1"], "workers": ["cpu-1", "gpu-1"], "gpu": ["gpu-1"], "cpu": ["cpu-1"]}
    lab.up(machines_named(["control-1", "cpu-1", "gpu-1"], read_gpus("0,0,2")), groups=groups)
    try:
        yield LabFarm(lab, tmp_path_factory.mktemp("farm"), engines, {"nomad__memory_total_mib": 4096})
    finally:
        lab.down()
