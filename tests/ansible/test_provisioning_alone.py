"""The playbook of provisioning alone, on an inventory that has nothing but the machine that runs the API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from agent_in_lab import packed_program
from farm_in_lab import LabFarm
from journey_inputs import FARM, PROGRAM

from lab.farm_in_a_box import Lab
from lab.plan import machines_named

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.cached(*FARM, *PROGRAM),
]
MACHINE = "boot-1"
ADDRESS = "10.77.0.11"
PLAYBOOK = "ansible/playbooks/provisioning.yaml"


@pytest.fixture(scope="module")
def alone(
    lab_names: Callable[[str], Lab], baked_layer: str, tmp_path_factory: pytest.TempPathFactory
) -> LabFarm:
    """A machine of an image in which Consul and Nomad are installed, and nothing is configured."""
    folder = tmp_path_factory.mktemp("alone")
    lab = lab_names("alone")
    lab.up(machines_named([MACHINE]), groups={"provisioning": [MACHINE]}, layers=[baked_layer])
    variables = {"provisioning_api__image": ""}
    return LabFarm(lab, folder / "farm", {}, packed_program(folder), variables=variables)


def test_a_dry_run_of_it_passes_and_makes_nothing(alone: LabFarm) -> None:
    done = alone.play("--check", playbook=PLAYBOOK)
    assert done.status == 0, done.output[-4000:]
    assert alone.on(MACHINE, "ls", "/etc/soundstage").returncode != 0


def test_the_api_answers_and_its_database_and_keys_are_in_a_copy(alone: LabFarm) -> None:
    alone.converge(playbook=PLAYBOOK)
    url = f"http://{ADDRESS}:8001/api/health"
    assert alone.on(MACHINE, "curl", "--silent", "--fail", url).returncode == 0
    assert alone.on(MACHINE, "ls", "/etc/consul.d").stdout.split() == []
    named = alone.on(MACHINE, "soundstage-backup", "take").stdout
    assert named.endswith("holds provisioning, provisioning-keys, provisioning-tls.\n"), named
    assert alone.on(MACHINE, "soundstage-backup", "verify").returncode == 0


def test_a_second_run_changes_nothing(alone: LabFarm) -> None:
    assert alone.converge(playbook=PLAYBOOK).changed() == 0
