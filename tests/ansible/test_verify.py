"""verify.yaml on a whole farm: it changes nothing on a healthy one, and names every one of ten seeded faults.

The short form of this is tests/node_health/test_farm_report.py, on recorded answers.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from farm_in_lab import ROOT, Run, run_ansible, write_inventory, write_weights
from journey_inputs import FARM
from seeded_faults import TEN

from lab.cards.catalogue import read_gpus
from lab.farm_in_a_box import Lab
from lab.plan import machines_named

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(7200), pytest.mark.cached(*FARM)]
UV = Path.home() / ".cache" / "soundstage"


class WholeFarm:
    """One control machine and three workers with every role."""

    def __init__(self, lab: Lab, folder: Path, engines: dict[str, Path]) -> None:
        self.lab = lab
        self._folder = folder
        # A copy: what is packed outside the lab is what the playbook must find, whatever is edited meanwhile.
        left_out = shutil.ignore_patterns(".venv", "__pycache__", ".*_cache")
        shutil.copytree(ROOT / "avatar", folder / "avatar", ignore=left_out)
        self.worker: dict[str, Any] = {
            "worker__cache": str(folder / "worker"),
            "worker__source": str(folder / "avatar"),
            "worker__uv": uv_program(),
        }
        self._inventory = write_inventory(
            folder / "inventory",
            lab,
            engines,
            {
                **self.worker,
                "farm__secrets": str(folder / "secrets"),
                "ssh_hardening__authorized_keys": "keep",
                "gpu__driver_source": "preinstalled",
                "gpu__kernel_log": "/opt/soundstage-lab/gpu/kernel.log",
                "gpu__memory_test_mib": 0,
                "nomad__memory_total_mib": 2048,
                **write_weights(folder / "models"),
            },
        )

    def pack_worker(self) -> None:
        """Outside the lab's network, which has no way to a package index."""
        program = ROOT / "ansible" / "roles" / "worker" / "files" / "build_worker.py"
        words = ["--source", self.worker["worker__source"], "--cache", self.worker["worker__cache"]]
        words += ["--uv", self.worker["worker__uv"], "--extra=cpu", "--extra=face", "--with-wheels"]
        words += ["--platform=x86_64-manylinux_2_40"]
        subprocess.run([sys.executable, program, *words], check=True)

    def play(self, playbook: str, *arguments: str) -> Run:
        environment = {**self.lab.environment(), "ANSIBLE_INVENTORY": str(self._inventory)}
        return run_ansible("ansible-playbook", [playbook, *arguments], environment, self.lab.entering([]))

    def verify(self) -> tuple[Run, str]:
        """The run, and the page."""
        page = self._folder / "page.txt"
        run = self.play("ansible/playbooks/verify.yaml", "-e", f"verify_page={page}")
        return run, page.read_text()


def uv_program() -> str:
    found = sorted(UV.glob("uv-*/bin/uv"))
    return str(found[-1]) if found else "uv"


@pytest.fixture(scope="module")
def whole_farm(
    lab_names: Callable[[str], Lab], engines: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> WholeFarm:
    lab = lab_names("whole-farm")
    names = ["control-1", "gpu-1", "cpu-1", "cpu-2"]
    lab.up(machines_named(names, read_gpus("0,1")), groups={"control": names[:1], "workers": names[1:]})
    farm = WholeFarm(lab, tmp_path_factory.mktemp("whole-farm"), engines)
    farm.pack_worker()
    made = farm.play("playbook.yaml")
    assert made.status == 0, made.output[-6000:]
    return farm


def test_a_healthy_farm_is_called_healthy_and_stays_as_it_is(whole_farm: WholeFarm) -> None:
    run, page = whole_farm.verify()
    assert run.status == 0, page
    assert run.changed() == 0
    assert page.endswith("Nothing is wrong.\n")
    assert len(page.splitlines()) < 60  # one page


def test_ten_seeded_faults_are_named_at_once(whole_farm: WholeFarm) -> None:
    for one in TEN:
        one.seed(whole_farm.lab)
    run, page = whole_farm.verify()
    assert run.status != 0
    named = set(re.findall(r"^  (\S+): (\S+)$", page, re.MULTILINE))
    missed = [one.what for one in TEN if (one.machine, one.code) not in named]
    assert missed == [], page
