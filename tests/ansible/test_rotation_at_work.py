"""Secrets are replaced on one machine that runs a studio, its database, its bucket and a worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from agent_in_lab import packed_program
from control_machines_in_lab import Studio, ask_for_video
from farm_in_lab import STUDIO, Carried, LabFarm
from journey_inputs import FARM, PROGRAM

from lab.farm_in_a_box import Lab
from lab.plan import machines_named

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.cached(*FARM, *PROGRAM),
]
MACHINE = "control-1"
GROUPS = ("control", "agent", "database", "storage", "workers")
NOMAD = "https://10.77.0.11:4646"
OF_THE_BUNDLE = "/usr/local/share/ca-certificates/soundstage-farm.crt"


@pytest.fixture(scope="module")
def farm(
    lab_names: Callable[[str], Lab],
    engines: dict[str, Path],
    carried: Carried,
    baked_layer: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> LabFarm:
    folder, lab = tmp_path_factory.mktemp("work"), lab_names("work")
    lab.up(machines_named([MACHINE]), groups={group: [MACHINE] for group in GROUPS}, layers=[baked_layer])
    both = carried | packed_program(folder)
    lab_farm = LabFarm(lab, folder / "farm", engines, both, variables=STUDIO)
    # Earlier versions had workers trust by the bundle of the system.
    lab_farm.on(MACHINE, "sh", "-c", f"mkdir -p $(dirname {OF_THE_BUNDLE}) && : > {OF_THE_BUNDLE}")
    lab_farm.converge()
    return lab_farm


def allocations(farm: LabFarm) -> set[tuple[str, int]]:
    """Returns the tasks of the studio with how often each was started anew."""
    found = farm.json(
        f"{NOMAD}/v1/job/agent/allocations", "X-Nomad-Token", farm.secret("nomad/management.token")
    )
    return {(one["ID"], one["TaskStates"]["up"]["Restarts"]) for one in found}


def test_the_system_trusts_no_authority_of_the_farm(farm: LabFarm) -> None:
    assert farm.on(MACHINE, "ls", OF_THE_BUNDLE).returncode != 0
    line = farm.secret("tls/ca.pem").splitlines()[2]
    assert (
        farm.on(MACHINE, "grep", "--quiet", "--fixed-strings", line, "/opt/soundstage/ca.pem").returncode == 0
    )
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    assert farm.on(MACHINE, "grep", "--quiet", "--fixed-strings", line, bundle).returncode == 1


@pytest.mark.parametrize(
    "rotate", [["tokens", "gossip", "certificates"], ["authority", "ssh", "management"]], ids=["usual", "all"]
)
def test_the_studio_runs_on_and_its_workers_stay_at_the_bucket(farm: LabFarm, rotate: list[str]) -> None:
    studio, before = Studio(farm, MACHINE), allocations(farm)
    authority = farm.secret("tls/ca.pem")
    render = ask_for_video(studio, f"In a rotation of {rotate[0]}", 6)
    render.wait_for_scene()
    farm.converge(playbook="ansible/playbooks/rotate-secrets.yaml", rotate=rotate)
    render.wait_for_video()
    ask_for_video(studio, f"After a rotation of {rotate[0]}", 1).wait_for_video()
    assert allocations(farm) == before
    assert set(studio.files_by_way()) == {"bucket"}
    assert (farm.secret("tls/ca.pem") == authority) == ("authority" not in rotate)
    assert farm.converge().changed() == 0
