"""One bare machine gets all parts by one run of the playbook: engines, provisioning, boot server, agent."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_in_lab import ADDRESS, MACHINE, of_the_agent, packed_program, place_expert, say
from farm_in_lab import LabFarm, Run
from journey_inputs import FARM, PROGRAM

from lab.farm_in_a_box import Lab
from lab.plan import machines_named
from provisioning_api.artefacts.manifest import verify_manifest
from pxe.image.chunks import ImageIndex

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.cached(*FARM, *PROGRAM, "tests/servers"),
]
BOOT = {
    "pxe_server__interface": "host0",
    "pxe_server__first": "10.77.0.200",
    "pxe_server__last": "10.77.0.220",
    "provisioning_api__engines": True,
    "provisioning_api__image": "cloud",
}
ARTEFACTS = "/var/lib/soundstage-provisioning/artefacts"


@pytest.fixture(scope="module")
def farm(
    lab_names: Callable[[str], Lab],
    engines: dict[str, Path],
    baked_layer: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> LabFarm:
    folder = tmp_path_factory.mktemp("one")
    program = packed_program(folder)
    lab = lab_names("one")
    groups = {group: [MACHINE] for group in ("control", "agent", "provisioning")}
    lab.up(machines_named([MACHINE]), groups=groups, layers=[baked_layer])
    variables = {name: value for name, value in of_the_agent("exec").items() if name != "farm__agent"}
    lab_farm = LabFarm(lab, folder / "farm", engines, program, {"control": {**variables, **BOOT}})
    place_expert(lab_farm)
    return lab_farm


@pytest.fixture(scope="module")
def first_run(farm: LabFarm) -> Run:
    return farm.converge()


def fetch(farm: LabFarm, url: str, *words: str) -> str:
    """Returns what a machine of the lab's network gets."""
    command = [
        "curl",
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        "30",
        "--noproxy",
        "*",
        *words,
        url,
    ]
    done = subprocess.run(farm.lab.entering(command), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_bare_machine_gets_every_part(farm: LabFarm, first_run: Run) -> None:
    assert first_run.count(MACHINE, "failed") == 0
    assert f"{MACHINE}  ready" in say(farm, "cluster status")
    # The agent asks the provisioning API of the same machine without a setting.
    assert "machine" in say(farm, "what machines do we have?")
    assert fetch(farm, f"http://{ADDRESS}/boot/first.ipxe").startswith("#!ipxe")
    authority = farm.secrets / "provisioning/ca.pem"
    assert fetch(farm, f"https://{ADDRESS}:8002/api/health", "--cacert", str(authority))
    units = ("soundstage-boot-network", "soundstage-provisioning", "nginx", "nomad", "consul")
    assert farm.on(MACHINE, "systemctl", "is-active", *units).stdout.split() == ["active"] * len(units)


def test_what_is_left_out_is_named(first_run: Run) -> None:
    for sentence in ("Metrics, alerts and logs are left out", "No machine makes videos yet"):
        assert sentence in first_run.output
    assert "Network boot is left out" not in first_run.output


def test_machines_that_boot_find_a_signed_image(
    farm: LabFarm, first_run: Run, record_property: Callable[[str, object], None], tmp_path: Path
) -> None:
    boot = f"http://{ADDRESS}/boot"
    content, signature, key = (
        fetch(farm, f"{boot}/{name}") for name in ("manifest.json", "manifest.json.sig", "manifest.pub")
    )
    manifest = verify_manifest(content.encode(), signature.strip(), bytes.fromhex(key))
    (named,) = (one.name for one in manifest.artefacts if one.name.endswith(".image.json"))
    assert named.startswith("soundstage-debian13-")
    index = ImageIndex.model_validate_json(fetch(farm, f"{boot}/artefacts/{named}"))
    assert {"vmlinuz", "agent.cpio.zst", index.data} <= {one.name for one in manifest.artefacts}
    for artefact in manifest.artefacts:
        file = tmp_path / artefact.name
        fetch(farm, f"{boot}/artefacts/{artefact.name}", "--output", str(file))
        assert hashlib.sha256(file.read_bytes()).hexdigest() == artefact.sha256, artefact.name
    of_new_machine = fetch(farm, f"{boot}/52-54-00-12-34-56.ipxe")
    assert all(f"{boot}/artefacts/{name}" in of_new_machine for name in ("vmlinuz", "agent.cpio.zst"))
    script = (
        "cd /root/.cache/soundstage/images && stat --format %Y agents/*/agent $0/manifest.json; ls /run/*.key"
    )
    since, until = farm.on(MACHINE, "sh", "-c", script, ARTEFACTS).stdout.split()
    record_property("image_s", int(until) - int(since))


def test_a_second_run_changes_nothing(farm: LabFarm, first_run: Run) -> None:
    again = farm.converge("--diff")
    assert again.changed() == 0, again.output[-5000:]
